# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes into the small Linux, and from which packages. Tables alone; assemble.py does it."""

from __future__ import annotations

# By architecture: the folder of its libraries, its loader, and the console where the system speaks.
ARCHITECTURES = {
    "amd64": {"libraries": "usr/lib/x86_64-linux-gnu", "loader": "usr/lib64/ld-linux-x86-64.so.2", "console": "ttyS0"},
    "arm64": {
        "libraries": "usr/lib/aarch64-linux-gnu",
        "loader": "usr/lib/ld-linux-aarch64.so.1",
        "console": "ttyAMA0",
    },
}
SUITES = ("trixie",)  # bookworm can be put together, and its engine does not come up

PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "docker-cli",
    "docker.io",
    "e2fsprogs",
    "iptables",
    "openssh-server",
    "qemu-guest-agent",
    "util-linux",
)
KERNEL = "linux-image-{architecture}"  # the one for clouds knows no 9p, by which a folder of the host comes in
TOOLS = (
    "squashfs-tools",
)  # which run while the image is made, from the same suite, so that the host's own do not count

# Programs, and what they are called in the image when not the same. All go to /usr/bin, which /usr/sbin is another name of.
PROGRAMS = {
    "usr/bin/busybox": "busybox",
    "usr/sbin/dockerd": "dockerd",
    "usr/sbin/docker-proxy": "docker-proxy",
    "usr/bin/docker": "docker",
    "usr/bin/tini-static": "docker-init",
    "usr/bin/containerd": "containerd",
    "usr/bin/containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "usr/sbin/runc": "runc",
    "usr/sbin/xtables-nft-multi": "xtables-nft-multi",
    "usr/sbin/sshd": "sshd",
    "usr/bin/ssh-keygen": "ssh-keygen",
    "usr/sbin/qemu-ga": "qemu-ga",
    "usr/sbin/e2fsck": "e2fsck",
    "usr/sbin/mke2fs": "mke2fs",
    "usr/sbin/resize2fs": "resize2fs",
    "usr/bin/flock": "flock",
}
# Programs that others look for at a certain place; older versions have not all of them.
PLACED = ("usr/lib/openssh/sshd-session", "usr/lib/openssh/sshd-auth")
LINKS = {f"usr/bin/{name}": "xtables-nft-multi" for name in (
    "iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore",
)}  # fmt: skip
# Libraries that are opened by name while a program runs; the second half of iptables are such, all of them.
OPENED = ("libgcc_s.so.1",)
PLUGINS = "xtables"
FILES = ("etc/mke2fs.conf",)
CERTIFICATES = "usr/share/ca-certificates/mozilla"

# What the first process needs to get at the packed system.
FIRST_MODULES = ("loop", "squashfs", "overlay")
# Folders of which all modules are taken, and single ones.
MODULE_FOLDERS = (
    "net/netfilter",
    "net/ipv4/netfilter",
    "net/ipv6/netfilter",
    "net/bridge",
    "fs/nfs",
    "fs/overlayfs",
    "drivers/hv",
    "drivers/net/hyperv",
    "drivers/net/ipvlan",
)
MODULES = (
    # what an emulator or a hypervisor puts in
    "virtio_pci", "virtio_mmio", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng", "virtio_balloon", "virtio_mem", "virtio_console",
    "virtio_input", "ahci", "nvme", "sd_mod", "sr_mod", "hv_storvsc", "button", "evdev", "gpio_keys", "i6300esb", "vmw_vsock_virtio_transport", "hv_sock",
    # file systems: the seed, the packed system, folders of the host and where it says what they are for, what containers and volumes use
    "isofs", "ext4", "squashfs", "loop", "9p", "9pnet_virtio", "virtiofs", "dmi_sysfs", "fuse", "binfmt_misc",
    # networks of containers
    "veth", "macvlan", "dummy", "vxlan", "ifb", "tun", "wireguard", "8021q", "ipip", "br_netfilter", "af_packet", "xfrm_user", "esp4", "esp6",
    "sch_htb", "sch_tbf", "sch_netem", "sch_ingress", "sch_fq", "sch_fq_codel", "cls_u32", "tcp_bbr",
    # what the kernel asks for by what it does: checksums of ext4, and the cipher of networks that are encrypted
    "crc32c_generic", "crc32c_intel", "gcm", "ghash_generic", "seqiv", "echainiv",
)  # fmt: skip

# Measured under emulation: larger blocks and xz make it 2 to 11 % smaller, and the engine answers later: by a fifth, or twice as late.
COMPRESSION = "zstd -b 128K"
CMDLINE = "console=tty0 console={console} quiet net.ifnames=0 apparmor=0 audit=0"
