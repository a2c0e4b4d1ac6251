"""What a hostile program tries in its instance: run there as its only program, by the test beside it.

Prints one line for each attempt, `NAME: refused (WHY)` or `NAME: DONE (WHAT)`. An attempt that the kernel
takes far enough to judge its arguments counts as done: they are chosen so that it then fails for another
reason, or so that nothing comes of it.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.ENOENT, errno.ENODEV,
            errno.ENXIO, errno.EAFNOSUPPORT, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EPROTONOSUPPORT}

# Numbers of x86_64: arch/x86/entry/syscalls/syscall_64.tbl.
SYS = dict(ptrace=101, syslog=103, personality=135, pivot_root=155, adjtimex=159, acct=163, settimeofday=164,
           mount=165, umount2=166, swapon=167, reboot=169, sethostname=170, iopl=172, init_module=175,
           quotactl=179, io_setup=206, lookup_dcookie=212, clock_settime=227, kexec_load=246, add_key=248,
           request_key=249, keyctl=250, ioprio_set=251, migrate_pages=256, unshare=272, perf_event_open=298,
           name_to_handle_at=303, open_by_handle_at=304, clock_adjtime=305, setns=308, process_vm_readv=310,
           kcmp=312, finit_module=313, kexec_file_load=320, bpf=321, userfaultfd=323, io_uring_setup=425,
           open_tree=428, fsopen=430, clone3=435, mount_setattr=442, fanotify_init=300, chroot=161)

NEW_NAMESPACES = dict(mount=0x20000, cgroup=0x2000000, uts=0x4000000, ipc=0x8000000, user=0x10000000,
                      pid=0x20000000, net=0x40000000, time=0x80)
WRITABLE_BY_NOBODY = """
/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug /proc/sys/vm/overcommit_memory
/proc/sys/fs/binfmt_misc/register /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/mtrr
/proc/acpi/wakeup
/sys/kernel/uevent_helper /sys/kernel/mm/transparent_hugepage/enabled /sys/module/kernel/parameters/panic
/sys/class/net/eth0/mtu /sys/fs/cgroup/release_agent /sys/fs/cgroup/cgroup.procs /sys/power/state
""".split()
EMPTY_TO_ALL = "/proc/modules /proc/timer_list /sys/kernel/debug /sys/kernel/tracing".split()
READABLE_BY_NOBODY = """
/proc/kcore /proc/kmsg /proc/kpagecount /proc/vmallocinfo /proc/slabinfo /dev/mem /dev/kmem /dev/port
/dev/kmsg /dev/kvm /dev/fuse /dev/vhost-net /dev/vsock /dev/loop-control /dev/loop0 /dev/sda /dev/vda /dev/nvme0n1
/dev/net/tun /dev/ptmx /dev/userfaultfd /dev/dri/card0 /dev/input/event0 /dev/mapper/control
/sys/kernel/security/apparmor/profiles /sys/firmware/dmi/tables/DMI
/run/bellows /var/lib/bellows /var/run/docker.sock /run/containerd/containerd.sock /run/systemd/private
""".split()


class Done(Exception):
    """The attempt was not refused."""


def system_call(number, *arguments):
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def opened(path, flags):
    def attempt():
        os.close(os.open(path, flags))
        return path
    return attempt


def found(path):
    """What stands in a file or a folder that may be there and have nothing."""
    def attempt():
        try:
            content = os.listdir(path)
        except NotADirectoryError:
            with open(path, "rb") as file:
                content = file.read(100)
        if content:
            return content
        raise OSError(errno.ENOENT, "nothing is in it")
    return attempt


def in_child(attempt):
    """What may end the process that tries it: how it ended is told instead."""
    def tried():
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, f"DONE {attempt()}".encode())
            except OSError as error:
                os.write(writer, str(error.errno).encode())
            os._exit(0)
        os.close(writer)
        told = os.read(reader, 4096).decode()
        status = os.waitpid(child, 0)[1]
        os.close(reader)
        if not told:
            raise OSError(errno.EPERM, f"ended by signal {status & 127}")
        if told.startswith("DONE"):
            return told
        raise OSError(int(told), os.strerror(int(told)))
    return tried


def old_abi(number):
    """A system call by the interrupt of 32-bit programs: the list must hold for it too."""
    def attempt():
        code = b"\x53\x89\xf8\x89\xf3\x31\xc9\x31\xd2\xcd\x80\x5b\xc3"
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        result = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)(address)(number, 0x10000000)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result
    return attempt


def connected(family, address, kind=socket.SOCK_STREAM):
    def attempt():
        with socket.socket(family, kind) as client:
            client.settimeout(1)
            try:
                client.connect(address)
            except ConnectionRefusedError:
                # By a host that was reached, unless the address is a name of this machine's own.
                if family != socket.AF_UNIX:
                    return "it was reached"
                raise
        return address
    return attempt


def became_root_by_a_set_uid_program():
    """A copy of `id` that is set-uid to another user must not run as that user."""
    shutil.copy("/usr/bin/id", "/writable/id")
    os.chmod("/writable/id", 0o6755)
    try:
        os.chown("/writable/id", 33, 33)
        os.chmod("/writable/id", 0o6755)
    except PermissionError:
        # Without the capability to give files away it stays its own.
        pass
    told = subprocess.run(["/writable/id", "-u"], capture_output=True, text=True, check=True).stdout.strip()
    if told != str(os.getuid()):
        return f"it is {told}"
    raise OSError(errno.EPERM, "runs as who called it")


def read_through_a_link():
    """A link in a folder that is shared with the host leads within the instance, not to the host's file."""
    os.symlink(GIVEN["file"], "/objects/link")
    with open("/objects/link", encoding="utf-8") as file:
        return file.read()


def wrote_into_a_program_of_the_host():
    """CVE-2019-5736: the program by which the host entered is written to through its own link."""
    return opened("/proc/1/exe", os.O_WRONLY)()


def took_a_capability():
    """Ambient ones, for what it starts: PR_CAP_AMBIENT_RAISE of `sys_admin`."""
    if LIBC.prctl(47, 2, 21, 0, 0) == 0:
        return "sys_admin"
    code = ctypes.get_errno()
    raise OSError(code or errno.EPERM, os.strerror(code))


def took_real_time():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "SCHED_FIFO"


def left_its_limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    return "more open files"


def asked_the_kernel_for_a_route():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.bind((0, 0))
    return "netlink"


def hid_from_the_killer():
    """A process that is spared when memory ends takes it from all others."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("-1000")
    return "-1000"


def saw_other_processes():
    """Only those of the instance: this program, and what it started."""
    own = {"1", str(os.getpid())}
    others = [open(f"/proc/{entry}/stat").read() for entry in os.listdir("/proc") if entry.isdigit() and entry not in own]
    if others:
        return others
    raise OSError(errno.ENOENT, "there are none")


def addresses_of_the_kernel():
    """All zero for whoever has no right to them."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        first = file.readline().split()[0]
    if int(first, 16):
        return first
    raise OSError(errno.EPERM, "zeros")


def found_a_key():
    """Only the keyring that it was started with, which is its own and empty."""
    with open("/proc/keys", encoding="ascii") as file:
        keys = [line for line in file if not line.endswith(" _ses: empty\n")]
    if keys:
        return keys
    raise OSError(errno.ENOENT, "there are none")


def made_a_device():
    os.mknod("/writable/disk", 0o60666, os.makedev(8, 0))
    return "a disk"


def made_a_file_for_a_host_user():
    """An id beyond its range would be one of another service, or of the host."""
    try:
        os.chown("/objects", 65_536 + 1, -1)
    except OSError as error:
        # What a process that may change owners is told: there is no such id.
        raise PermissionError(errno.EPERM, error.strerror) from error
    return "an id outside its range"


def called(name, *arguments):
    return in_child(lambda: system_call(SYS[name], *arguments))


def attempts():
    yield from ((f"write {path}", opened(path, os.O_WRONLY)) for path in WRITABLE_BY_NOBODY)
    yield from ((f"read {path}", opened(path, os.O_RDONLY)) for path in READABLE_BY_NOBODY)
    yield from ((f"find something in {path}", found(path)) for path in EMPTY_TO_ALL)
    for name, flag in NEW_NAMESPACES.items():
        yield f"new {name} namespace", called("unshare", flag)
        # The lowest byte of clone's flags is a signal: it makes no namespaces of time.
        if flag > 0xFF:
            yield f"clone into a new {name} namespace", in_child(lambda flag=flag: system_call(56, flag | 17, 0, 0, 0, 0) or os._exit(0))
    yield "clone3", called("clone3", ctypes.create_string_buffer(struct.pack("<8Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0)), 64)
    yield "enter a namespace", called("setns", os.open("/proc/1/ns/net", os.O_RDONLY), 0)
    text = ctypes.c_char_p
    yield "mount a tmpfs", called("mount", text(b"tmpfs"), text(b"/objects"), text(b"tmpfs"), 0, 0)
    yield "mount proc again", called("mount", text(b"proc"), text(b"/objects"), text(b"proc"), 0, 0)
    yield "remount /sys for writing", called("mount", 0, text(b"/sys"), 0, 0x20 | 0x1000, 0)
    yield "remount / without nosuid", called("mount", 0, text(b"/"), 0, 0x20, 0)
    yield "unmount a folder", called("umount2", text(b"/objects"), 2)
    yield "take a copy of a mount", called("open_tree", -100, text(b"/"), 1)
    yield "open a file system", called("fsopen", text(b"tmpfs"), 0)
    yield "change a mount", called("mount_setattr", -100, text(b"/"), 0, ctypes.create_string_buffer(32), 32)
    yield "another root", called("pivot_root", text(b"/"), text(b"/objects"))
    yield "chroot", called("chroot", text(b"/objects"))
    yield "make a device", made_a_device
    yield "open a file by its handle", called("open_by_handle_at", 0, ctypes.create_string_buffer(24), 0)
    yield "a handle of a file", called("name_to_handle_at", -100, text(b"/"), ctypes.create_string_buffer(136), ctypes.create_string_buffer(8), 0)
    yield "a key of the kernel's", called("add_key", text(b"user"), text(b"x"), text(b"y"), 1, -3)
    yield "the session's keyring", called("keyctl", 0, -3, 0)
    yield "keys of others", found_a_key
    yield "request a key", called("request_key", text(b"user"), text(b"x"), 0, 0)
    yield "trace a process", called("ptrace", 16, 1, 0, 0)
    yield "be traced", called("ptrace", 0, 0, 0, 0)
    yield "read another's memory", called("process_vm_readv", 1, 0, 0, 0, 0, 0)
    yield "compare with another", called("kcmp", 1, 1, 0, 0, 0)
    yield "kernel log", called("syslog", 3, ctypes.create_string_buffer(64), 64)
    yield "another personality", called("personality", 0x0040000)
    yield "set the clock", called("clock_settime", 0, ctypes.create_string_buffer(struct.pack("<qq", 0, -1)))
    yield "set the time of day", called("settimeofday", ctypes.create_string_buffer(struct.pack("<qq", 0, -1)), 0)
    yield "tune the clock", called("adjtimex", ctypes.create_string_buffer(struct.pack("<I", 0x8000) + bytes(252)))
    yield "tune a clock", called("clock_adjtime", 0, ctypes.create_string_buffer(struct.pack("<I", 0x8000) + bytes(252)))
    yield "account processes", called("acct", text(b"/none"))
    yield "swap", called("swapon", text(b"/none"), 0)
    yield "restart the host", called("reboot", 0xFEE1DEAD, 672274793, 0x7FFFFFFF, 0)
    yield "load a kernel", called("kexec_load", 0, 0, 0, 0xFFFF)
    yield "load a kernel's file", called("kexec_file_load", -1, -1, 0, 0, 0)
    yield "load a module", called("init_module", 0, 0, text(b""))
    yield "load a module's file", called("finit_module", -1, text(b""), 0)
    yield "ports of the machine", called("iopl", 3)
    yield "quotas", called("quotactl", 0x800007, 0, 0, 0)
    yield "a program of the kernel's", called("bpf", 0, ctypes.create_string_buffer(72), 72)
    yield "counters of the processor", called("perf_event_open", ctypes.create_string_buffer(struct.pack("<II", 1, 112) + bytes(104)), 0, -1, -1, 0)
    yield "faults of memory", called("userfaultfd", 0)
    yield "a ring of system calls", called("io_uring_setup", 1, ctypes.create_string_buffer(120))
    yield "the host's budget of asynchronous I/O", called("io_setup", 1, ctypes.create_string_buffer(8))
    yield "watch a file system", called("fanotify_init", 0, 0)
    yield "priority of I/O", called("ioprio_set", 1, 0, 0x2000)
    yield "move pages", called("migrate_pages", 0, 0, 0, 0)
    yield "another name of the machine", called("sethostname", text(b"x"), 1)
    yield "a call of 32-bit programs", in_child(old_abi(310))
    yield "a mount by a call of 32-bit programs", in_child(old_abi(21))
    yield "a call of x32 programs", in_child(lambda: system_call(0x40000000 | SYS["unshare"], 0x10000000))
    for name, family in dict(packet=17, netlink=16, key=15, vsock=40, alg=38, bluetooth=31, can=29, tipc=30, rds=21,
                             xdp=44, inet_raw=0).items():
        kind = socket.SOCK_RAW if name in ("packet", "inet_raw", "netlink") else socket.SOCK_STREAM
        family = socket.AF_INET if name == "inet_raw" else family
        yield f"a socket of the family {name}", lambda f=family, k=kind: socket.socket(f, k).close() or "made"
    yield "a route", asked_the_kernel_for_a_route
    yield "an abstract socket of the host", connected(socket.AF_UNIX, "\0" + GIVEN["abstract"])
    yield "the address of metadata", connected(socket.AF_INET, ("169.254.169.254", 80))
    yield "an address beyond the host", connected(socket.AF_INET, ("192.0.2.9", 80))
    yield "an address of IPv6", connected(socket.AF_INET6, ("2001:db8::9", 80))
    for name, (host, port) in GIVEN["addresses"].items():
        yield f"the address of {name}", connected(socket.AF_INET, (host, port))
    for name, path in GIVEN["hidden"].items():
        yield f"the folder of {name}", opened(path, os.O_RDONLY)
    yield "a set-uid program", became_root_by_a_set_uid_program
    yield "a link out of a shared folder", read_through_a_link
    yield "the program of process 1", wrote_into_a_program_of_the_host
    yield "a capability", took_a_capability
    yield "real-time priority", took_real_time
    yield "higher limits", left_its_limits
    yield "a place behind the killer's back", hid_from_the_killer
    yield "a file of a user of the host", made_a_file_for_a_host_user
    yield "processes of others", saw_other_processes
    yield "addresses of the kernel", addresses_of_the_kernel


def is_the_other():
    """Whether this runs in the instance that is only there to be tried."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        # Sends nothing: the kernel tells where it would leave from.
        asked.connect(tuple(GIVEN["addresses"]["the host"]))
        return asked.getsockname()[0] == GIVEN["addresses"]["another instance"][0]


def told(attempt):
    try:
        return f"DONE ({attempt()})"
    except TimeoutError:
        return "refused (no answer)"
    except OSError as error:
        refused = error.errno in REFUSALS or isinstance(error, (PermissionError, FileNotFoundError))
        return f"{'refused' if refused else 'DONE'} ({error.strerror})"
    except ValueError as error:
        # Python's word for a limit above the hard one.
        return f"refused ({error})"


def unlisted(allowed):
    """Every system call that is not on the list: the check of amicontained, for all of them.

    The two of probes, 335 and 336, are let through by the kernel whatever the list says, and do nothing there.
    """
    for number in set(range(470)) - {335, 336} - allowed:
        try:
            in_child(lambda number=number: system_call(number, -1, -1, -1, -1, -1))()
            yield number, "DONE"
        except OSError as error:
            yield number, "refused" if error.errno == errno.ENOSYS else f"DONE ({error.strerror})"


GIVEN = json.loads(sys.argv[1])

if is_the_other():
    with socket.create_server(("", GIVEN["addresses"]["another instance"][1])):
        with open("/objects/other", "x", encoding="ascii"):
            pass
        signal.pause()
while not os.path.exists("/objects/other"):
    time.sleep(0.01)

for name, attempt in attempts():
    print(f"{name}: {told(attempt)}", flush=True)
taken = [f"{number}: {outcome}" for number, outcome in unlisted(set(GIVEN["allowed"])) if outcome != "refused"]
print(f"system calls that are not on the list: {'refused' if not taken else 'DONE'} ({', '.join(taken) or 'all'})")
print("end", flush=True)
