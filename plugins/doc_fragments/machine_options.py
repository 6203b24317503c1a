# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one machine."""

from __future__ import annotations


class ModuleDocFragment:
    """A machine; ``_libvirt/machine.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  name:
    description: The machine's name, which is its host's name too. Lower-case letters, digits and hyphens.
    type: str
    required: true
  state:
    description:
      - V(running) starts the machine and waits as O(wait_for) says. V(stopped) shuts it down.
      - V(present) leaves it running or not, as it is. V(restarted) starts it anew in each run.
      - V(absent) removes it with its root disk, its seed, the file of its console and the addresses that were reserved for it.
        Its data disks stay unless O(destroy) names them.
    type: str
    choices: [running, stopped, present, restarted, absent]
    default: running
  image:
    description:
      - The image that the root disk is made from. The disk holds only what differs from it.
      - Another image makes the root disk anew, with a first boot and a new host key. What was on it is lost, so that is refused unless
        O(destroy) allows it.
      - A new machine needs this or O(boot).
    type: dict
    suboptions:
      source:
        description: >-
          Where the image comes from when it is not in the pool yet, as a path on the host where the module runs, or as an HTTP or
          HTTPS URL.
        type: path
      checksum:
        description: The SHA-256 of the file, as C(sha256sum) prints it. The image is known by it.
        type: str
        required: true
      format:
        description: The format of the file.
        type: str
        choices: [qcow2, raw]
        default: qcow2
  size:
    description: The size of the root disk, such as V(20g). By default that of the image. It can grow, also while the machine runs, and never shrinks.
    type: str
  boot:
    description:
      - A kernel that the hypervisor starts, without a boot loader. Without O(image) the machine has no root disk and runs from memory.
    type: dict
    suboptions:
      kernel:
        description: The kernel.
        type: dict
        required: true
        suboptions: &file
          source:
            description: Where the file comes from when it is not in the pool yet, as a path on the host where the module runs, or as a URL.
            type: path
          checksum:
            description: The SHA-256 of the file.
            type: str
            required: true
      initrd:
        description: The first file system.
        type: dict
        suboptions: *file
      cmdline:
        description: The kernel's command line.
        type: str
  cpus:
    description: The number of processors. A new machine has one where nothing is said. Up to O(cpus_max) it changes while the machine runs.
    type: int
  cpus_max:
    description: How many processors the machine may have while it runs. By default O(cpus).
    type: int
  memory:
    description: The memory, such as V(512m) or V(2g). A new machine needs it. Up to O(memory_max) it changes while the machine runs.
    type: str
  memory_max:
    description: How much memory the machine may have while it runs. By default O(memory).
    type: str
  cpu:
    description: >-
      The model of the processor, V(host-passthrough), V(host-model), V(maximum) or one of libvirt's names. A new machine gets the
      host's processor, or all that can be emulated.
    type: str
  machine_type:
    description: The model of the machine, such as V(q35), V(pc) or V(virt). A new machine gets the one that suits its architecture.
    type: str
  firmware:
    description: What starts the system on the root disk. V(bios) for a new machine where nothing is said.
    type: str
    choices: [bios, efi]
  accel:
    description:
      - How the processor is made. V(kvm) and V(hvf) use the host's own, V(tcg) emulates one.
      - V(auto), as where nothing is said, takes the best that the host really has. When a new machine is emulated for that reason, the plan says why.
    type: str
    choices: [auto, kvm, tcg, hvf]
  disks:
    description: >-
      Data disks. One that is no longer said is unplugged, and its file stays, as it does when the machine goes. Only O(destroy) removes it.
    type: list
    elements: dict
    suboptions:
      name:
        description: The disk's name. In a Linux guest it is C(/dev/disk/by-id/virtio-NAME), or C(*NAME) with another bus.
        type: str
        required: true
      size:
        description: The size, such as V(20g). It can grow, also while the machine runs, and never shrinks.
        type: str
        required: true
      bus:
        description: How the disk is attached. Disks on V(sata) do not come and go while the machine runs.
        type: str
        choices: [virtio, scsi, sata]
        default: virtio
      format:
        description: The format of its file. It cannot change.
        type: str
        choices: [qcow2, raw]
        default: qcow2
  networks:
    description:
      - Network cards, in their order. A card that comes, goes or is another one is plugged in and out while the machine runs, but for one in user mode.
    type: list
    elements: dict
    suboptions:
      network:
        description: A network of the hypervisor. Each card has either this, a bridge or O(networks[].user).
        type: str
      bridge:
        description: A bridge of the host, instead of a network.
        type: str
      user:
        description:
          - A card in user mode, instead of a network. QEMU itself carries what the guest sends, with the rights of whoever runs it, so it needs no root and
            nothing of the host. The guest reaches what the host reaches, and is itself reached at O(networks[].ports) alone. QEMU hypervisors only.
          - When a port leads to the guest's port 22, that is how the machine is reached, by O(wait_for=ssh), the results and the inventory.
          - A machine has at most one such card. When it comes, goes or is another one, the machine needs a restart.
        type: bool
      ports:
        description:
          - Ports of the hypervisor's host that lead into the guest, such as V(127.0.0.1:60022:22), V(8080:80) or V(5353:53/udp), as containers publish
            them. It goes with O(networks[].user).
          - Without an address a port is open on all IPv4 addresses of the host. IPv6 addresses, SCTP, and a host port that is left to be chosen are not for QEMU.
        type: list
        elements: str
      mac:
        description: The card's address. By default one that follows from the machine's identity, and stays the same.
        type: str
      address:
        description:
          - The IP address that the network's DHCP server reserves for the card. It goes with a network that has DHCP.
          - A running machine learns of another address at its next start.
        type: str
      model:
        description: The model of the card.
        type: str
        default: virtio
  folders:
    description:
      - Folders of the hypervisor's host that the guest has too. QEMU hypervisors only. One that is no longer said goes. A change needs a restart.
      - In a session they go in by 9p, and what the guest writes belongs to you. On a system's hypervisor they go in by virtiofs, and what the guest writes belongs
        to whoever's it is there, so that root in the guest is root in the folder; one that is only to be read goes in by 9p.
      - "The guest is told where each belongs by an OEM string of its SMBIOS tables, C(io.systemd.credential.binary:fstab.extra), which systemd from 254 on
        and the small Linux mount by themselves. Its kernel must know 9p or virtiofs; Debian's kernel for clouds has no 9p."
    type: list
    elements: dict
    suboptions:
      source:
        description: The folder on the hypervisor's host. It must be there, which is looked at where the hypervisor is that of this host.
        type: path
        required: true
      target:
        description: Where the guest has it. By default where the host has it.
        type: str
      read_only:
        description: Whether the guest can only read it.
        type: bool
        default: false
  autostart:
    description: Whether the machine starts with the host.
    type: bool
  agent:
    description: Whether there is a channel for the QEMU guest agent. A new machine has one where nothing is said.
    type: bool
  protect:
    description: While this is true the machine is not removed, and not made anew from another image.
    type: bool
  labels:
    description: Labels of your own. Keys that are not named are left alone; those that begin with C(slipway.) are not for you.
    type: dict
  seed:
    description:
      - What the system is told at its first boot, through cloud-init's C(NoCloud) or as plain files. Besides it gets an SSH host key that is made for it.
      - A machine that has booted does not read it again, so another seed is no change. A system that runs from memory reads it at each start,
        as it was written when the machine was made.
      - It is taken out and deleted when the machine has answered on SSH.
    type: dict
    suboptions:
      hostname:
        description: The host's name. By default the machine's.
        type: str
      user:
        description: Whom SSH lets in. Another user than root may become root without a password.
        type: str
        default: root
      ssh_keys:
        description: Public keys that let this user in. There are no passwords.
        type: list
        elements: str
      user_data:
        description: More for cloud-init. It is merged with what makes the machine reachable; what would undo that is refused.
        type: dict
      network_config:
        description: Network configuration for cloud-init, version 2. Without it cards ask for an address by DHCP.
        type: dict
      files:
        description: >-
          More files on the seed, as names with their texts, for a system that looks for them, such as the engine's certificates for the small Linux.
          They are not shown.
        type: dict
  wait_for:
    description:
      - How far a started machine must come. V(none) does not wait, V(running) wants it to run, V(address) to have an address, and
        V(ssh) to answer on SSH with the host key that was made for it.
      - If it is left out, V(ssh) where there is a way in and a host key of ours; V(running) for a machine without networks, and for one that others have made.
    type: str
    choices: [none, running, address, ssh]
  timeout:
    description: Seconds that may take. An emulated machine needs some ten times longer than another one.
    type: float
    default: 300.0
  shutdown_timeout:
    description: Seconds the machine is given to shut down before it is turned off.
    type: float
    default: 120.0
"""
