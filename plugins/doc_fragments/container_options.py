# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of one container."""

from __future__ import annotations


class ModuleDocFragment:
    """A container; ``_docker/container.py`` has the rows."""

    DOCUMENTATION = r"""
options:
  name:
    description: The container's name, and its key in the project.
    type: str
    required: true
  state:
    description:
      - V(started) runs, and has stayed up for O(min_healthy_time) seconds. V(healthy) also passes its health check.
      - V(present) exists; whether it runs is left alone. V(stopped) exists and does not run.
      - V(restarted) is restarted by every run. V(absent) is not there.
    type: str
    choices: [present, started, stopped, healthy, restarted, absent]
    default: started
  depends_on:
    description: Containers of the same task that must be started, or healthy when that is their state, before this one starts.
    type: list
    elements: str
  pull:
    description:
      - V(missing) pulls the image when a container is made and the engine does not have it.
      - V(always) asks the registry for the digest in every run, and replaces the container when the image has changed.
      - V(never) makes a missing image an error.
    type: str
    choices: [missing, always, never]
    default: missing
  recreate:
    description: Replace the container in every run.
    type: bool
    default: false
  update_order:
    description: The order of this container's replacement, when it is another than O(update_config.order).
    type: str
    choices: [stop-first, start-first]
  comparisons:
    description:
      - How an option is compared, by its name; V(*) stands for all others.
      - C(strict) wants the same value and nothing beside it. C(allow_more_present) wants what is said to be there.
        C(ignore) does not look.
    type: dict
  env_file:
    description: Files on the managed host with one NAME=value a line. O(env) wins over them, later files over earlier ones.
    type: list
    elements: path
  healthy_wait_timeout:
    description: Seconds this container may take to become healthy; O(deadline) when it is left out.
    type: float
  hardening:
    description:
      - V(cis) keeps to what section 5 of the CIS Docker Benchmark 1.6.0 asks of a container.
      - What is left out is filled in, and then compared as if it had been written. These are V(no-new-privileges:true) among the
        O(security_opts), O(cap_drop=ALL), O(read_only=true), O(pids_limit=256), O(restart_policy=on-failure) with O(restart_retries=5),
        and V(127.0.0.1) for published ports without a host address.
      - O(memory), O(cpus) or O(cpu_shares), the test of a O(healthcheck) and a O(user) other than root must be written, and what
        gives the container a part of the host must not, unless O(hardening_allow) says why.
      - V(none) asks for nothing.
    type: str
    choices: [none, cis]
  hardening_allow:
    description:
      - What this container needs although O(hardening=cis) is against it, each with the reason. The task fails when a reason is
        missing, warns of an exception that nothing needs, and shows the others in RV(exceptions).
      - What is excepted is neither demanded nor filled in. Ports without a host address still get V(127.0.0.1), and a container
        without a restart policy still gets V(on-failure); write V(0.0.0.0) or the policy.
    type: dict
    suboptions:
      user:
        description: It runs as root, or as whom the image says (4.1).
        type: str
      apparmor:
        description: V(apparmor=unconfined) among the O(security_opts) (5.2).
        type: str
      selinux:
        description: V(label=disable) among the O(security_opts) (5.3).
        type: str
      cap_drop:
        description: It keeps capabilities that it does not name (5.4).
        type: str
      capabilities:
        description: Capabilities that an engine does not give by itself (5.4).
        type: str
        aliases: [cap_add]
      privileged:
        description: O(privileged) (5.5).
        type: str
      host_directories:
        description: A bind mount of C(/), C(/boot), C(/dev), C(/etc), C(/lib), C(/proc), C(/sys) or C(/usr), or a writable one of what is below them (5.6).
        type: str
      privileged_ports:
        description: A published port below 1024 of the host (5.8).
        type: str
      network_mode:
        description: The host's network (5.10).
        type: str
      memory:
        description: No limit of its memory (5.11).
        type: str
        aliases: [mem_limit]
      cpus:
        description: Neither O(cpus) nor O(cpu_shares) (5.12).
        type: str
      read_only:
        description: It can write its own root (5.13).
        type: str
      all_addresses:
        description: A port that is published on V(0.0.0.0) or V([::]) (5.14).
        type: str
      restart_policy:
        description: It is started again without end, or more than 5 times (5.15).
        type: str
        aliases: [restart]
      pid_mode:
        description: The host's processes (5.16).
        type: str
        aliases: [pid]
      ipc_mode:
        description: The host's shared memory (5.17).
        type: str
        aliases: [ipc]
      devices:
        description: Devices of the host (5.18).
        type: str
      shared_propagation:
        description: A bind mount that spreads to the host (5.20).
        type: str
      uts:
        description: The host's name (5.21).
        type: str
      seccomp:
        description: V(seccomp=unconfined) among the O(security_opts) (5.22).
        type: str
      cgroup_parent:
        description: O(cgroup_parent) (5.25).
        type: str
      no_new_privileges:
        description: It may gain rights by what it runs, such as C(sudo) (5.26).
        type: str
      healthcheck:
        description: No check of its health, or what the image says (5.27).
        type: str
      pids_limit:
        description: No limit of its processes (5.29).
        type: str
      userns_mode:
        description: The host's users (5.31).
        type: str
      docker_socket:
        description: The engine's socket, or a directory that holds it (5.32).
        type: str
  image:
    description: The image's reference. The container is replaced when the reference stands for another image than the one it runs.
    type: str
  command:
    description: The command, as a list or as text that is split as a shell would.
    type: raw
  entrypoint:
    description: The entry point, as a list or as text. An empty list takes the image's entry point away.
    type: raw
  env:
    description: Environment variables. What was said once and is no longer is removed; what was never said is left alone.
    type: dict
    aliases: [environment]
  labels:
    description: Labels. What was said once and is no longer is removed; what was never said is left alone.
    type: dict
  user:
    description: The user, or user:group, by name or number.
    type: str
  working_dir:
    description: The directory in which the command starts.
    type: str
    aliases: [workdir]
  hostname:
    description: The host name in the container.
    type: str
  domainname:
    description: The domain name in the container.
    type: str
  tty:
    description: Give it a terminal.
    type: bool
  interactive:
    description: Keep its standard input open.
    type: bool
    aliases: [stdin_open]
  init:
    description: Run a small init in it that passes signals on and reaps processes.
    type: bool
  stop_signal:
    description: The signal that asks it to stop, such as V(SIGTERM).
    type: str
  stop_timeout:
    description: Seconds it has to stop before it is killed.
    type: int
  healthcheck:
    description: How the engine tells whether the container is well. What is left out is the image's.
    type: dict
    suboptions:
      test:
        description: A shell command, or a list that begins with C(CMD) or C(CMD-SHELL), or V(NONE) for no check.
        type: raw
      interval:
        description: Time between checks, such as V(30s). A bare number is seconds.
        type: str
      timeout:
        description: Time a check may take.
        type: str
      retries:
        description: Failed checks in a row that make it unhealthy.
        type: int
      start_period:
        description: Time in which failed checks do not count.
        type: str
      start_interval:
        description: Time between checks during O(healthcheck.start_period), on engines that have it (API 1.44).
        type: str
  restart_policy:
    description: When the engine starts it again by itself. Changed in place.
    type: str
    choices: ['no', on-failure, always, unless-stopped]
    aliases: [restart]
  restart_retries:
    description: How often V(on-failure) tries. Changed in place.
    type: int
  auto_remove:
    description: Remove the container when it ends.
    type: bool
  memory:
    description: The most memory it may use, such as V(512m). Changed in place.
    type: str
    aliases: [mem_limit]
  memory_reservation:
    description: The memory it keeps when the host runs short. Changed in place.
    type: str
    aliases: [mem_reservation]
  memory_swap:
    description: The most memory and swap together; V(unlimited) for no bound. Changed in place.
    type: str
    aliases: [memswap_limit]
  memory_swappiness:
    description: How readily its memory is swapped out, from 0 to 100.
    type: int
    aliases: [mem_swappiness]
  cpus:
    description: How many processors it may use, such as V(0.5). Changed in place.
    type: float
  cpu_shares:
    description: Its weight against others when processors are short; 1024 is usual. Changed in place.
    type: int
  cpuset_cpus:
    description: The processors it may use, such as V(0-2). Changed in place.
    type: str
    aliases: [cpuset]
  cpuset_mems:
    description: The memory nodes it may use. Changed in place.
    type: str
  pids_limit:
    description: The most processes it may have; 0 for no limit. Changed in place.
    type: int
  ulimits:
    description: Limits of its processes, as V(nofile:1024:2048).
    type: list
    elements: str
  shm_size:
    description: The size of C(/dev/shm), such as V(128m).
    type: str
  oom_score_adj:
    description: How readily the kernel ends it when memory is short, from -1000 to 1000.
    type: int
  privileged:
    description: Give it every right on the host.
    type: bool
  capabilities:
    description: Capabilities beside the default ones, such as V(NET_ADMIN).
    type: list
    elements: str
    aliases: [cap_add]
  cap_drop:
    description: Default capabilities to take away; V(ALL) for all.
    type: list
    elements: str
  groups:
    description: Further groups of its user, by name or number.
    type: list
    elements: str
    aliases: [group_add]
  security_opts:
    description: Security options, such as V(no-new-privileges).
    type: list
    elements: str
    aliases: [security_opt]
  read_only:
    description: Make its root file system read-only.
    type: bool
  devices:
    description: Devices of the host, as V(/dev/fuse) or V(/dev/sda:/dev/xvda:rwm).
    type: list
    elements: str
  sysctls:
    description: Kernel parameters of its namespaces.
    type: dict
  runtime:
    description: The OCI runtime.
    type: str
  pid_mode:
    description: The PID namespace; V(host) or V(container:NAME).
    type: str
    aliases: [pid]
  ipc_mode:
    description: The IPC namespace, such as V(private), V(shareable), V(host) or V(container:NAME).
    type: str
    aliases: [ipc]
  uts:
    description: The UTS namespace; V(host) shares the host's name.
    type: str
  userns_mode:
    description: The user namespace; V(host) switches remapping off.
    type: str
  cgroupns_mode:
    description: The cgroup namespace.
    type: str
    choices: [host, private]
  cgroup_parent:
    description: The cgroup under which its own is made.
    type: str
  published_ports:
    description:
      - Ports of the host that lead to the container, as V(127.0.0.1:8080:80), V(8080:80/udp), V(8000-8010:80-90) or V(80).
      - Without a host address the port can be reached on every address of the host; see O(default_host_ip).
    type: list
    elements: str
    aliases: [ports]
  exposed_ports:
    description: Ports that the container says it listens on.
    type: list
    elements: str
    aliases: [expose, exposed]
  networks:
    description:
      - The networks it is on, all of them. Changed in place by connecting and disconnecting.
      - Each must be declared in the same task or be there already.
    type: list
    elements: dict
    suboptions:
      name:
        description: The network's name.
        type: str
        required: true
      aliases:
        description: Further names by which others on the network find it.
        type: list
        elements: str
      ipv4_address:
        description: Its address on the network.
        type: str
      ipv6_address:
        description: Its IPv6 address on the network.
        type: str
      links:
        description: Containers it finds by other names, as C(container:name).
        type: list
        elements: str
      driver_opts:
        description: Options for the network's driver.
        type: dict
  network_mode:
    description: V(bridge), V(host), V(none), V(container:NAME) or a network's name; O(networks) is the better way for the last.
    type: str
  dns_servers:
    description: Its name servers, in the order in which they are asked.
    type: list
    elements: str
    aliases: [dns]
  dns_search_domains:
    description: Its search domains.
    type: list
    elements: str
    aliases: [dns_search]
  dns_opts:
    description: Options of its resolver.
    type: list
    elements: str
  etc_hosts:
    description: Further lines of its C(/etc/hosts), name to address; V(host-gateway) is the host.
    type: dict
    aliases: [extra_hosts]
  volumes:
    description:
      - What is mounted where, as V(data:/var/lib/data), V(/srv/site:/www:ro), or V(/cache) for an anonymous volume.
      - An anonymous volume goes on in the container's successor when the container is replaced.
    type: list
    elements: str
  mounts:
    description: The same with more to say.
    type: list
    elements: dict
    suboptions:
      target:
        description: The path in the container.
        type: str
        required: true
      source:
        description: A path of the host, or a volume's name.
        type: str
      type:
        description: What is mounted; V(volume) when it is left out.
        type: str
        choices: [bind, volume, tmpfs]
      read_only:
        description: Mount it read-only.
        type: bool
      propagation:
        description: How mounts inside a bind mount spread.
        type: str
        choices: [private, rprivate, shared, rshared, slave, rslave]
      no_copy:
        description: Do not fill a new volume with what the image has at that path.
        type: bool
      volume_driver:
        description: The driver of a new volume.
        type: str
      volume_options:
        description: Options of that driver.
        type: dict
      tmpfs_size:
        description: The most a tmpfs may hold, such as V(64m).
        type: str
      tmpfs_mode:
        description: The mode of a tmpfs, such as V("1777").
        type: str
  secrets:
    description:
      - Files that hold secrets, mounted read-only. Unlike the values of O(env), nothing that the engine shows of the container
        has what is in them, and neither has what the module says.
      - They are written on the engine's host below O(secrets_dir), which only root can enter, and go when the container goes.
        The module must run there, as a user that may write there.
      - They are compared by reading them again. Another content, owner or mode, or a file that is gone, replaces the
        container, for a new file can be mounted into a new container only.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the secret, which is the name of its file.
        type: str
        required: true
      value:
        description: What is in the file, exactly. Either this or O(secrets[].file).
        type: str
      file:
        description: A file on the host where the module runs, whose content is taken.
        type: path
      target:
        description: The path in the container; V(/run/secrets/NAME) when it is left out.
        type: str
      uid:
        description: The number of the user that owns the file.
        type: int
        default: 0
      gid:
        description: The number of the group that owns the file.
        type: int
        default: 0
      mode:
        description: The mode of the file, in quotes.
        type: raw
        default: "0400"
  tmpfs:
    description: Paths that live in memory, as V(/run) or V(/run:size=64m).
    type: list
    elements: str
  volumes_from:
    description: Containers whose volumes are mounted too.
    type: list
    elements: str
  log_driver:
    description: The log driver, such as V(local) or V(json-file).
    type: str
  log_options:
    description: Options of the log driver.
    type: dict
    aliases: [log_opt]
"""
