"""What a hostile program takes of its instance until it is given no more, by the test beside it.

Prints one line for each kind: `NAME: HOW MUCH (WHAT ENDED IT)`.
"""

import errno
import os
import signal
import time


def processes():
    """Children that make children would be as many: the limit is the group's."""
    children = []
    try:
        while True:
            child = os.fork()
            if child == 0:
                time.sleep(60)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        print(f"processes: {len(children)}", end=" ")


def memory():
    """By a child: the kernel kills one of the group, and this one says that it is to be the child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
        taken = []
        while True:
            taken.append(b"x" * (1 << 20))
            os.write(writer, b".")
    os.close(writer)
    count = 0
    while part := os.read(reader, 4096):
        count += len(part)
    ended = os.waitpid(child, 0)[1]
    print(f"memory: {count}", end=" ")
    raise OSError(errno.ENOMEM, f"ended by signal {ended & 127}")


def descriptors():
    open_files = []
    try:
        while True:
            open_files.append(os.open("/", os.O_RDONLY))
    finally:
        for file in open_files:
            os.close(file)
        print(f"descriptors: {len(open_files)}", end=" ")


def disk():
    written = 0
    try:
        with open("/writable/file", "wb", buffering=0) as file:
            while True:
                written += file.write(bytes(1 << 16))
    finally:
        os.remove("/writable/file")
        print(f"disk: {written >> 20}", end=" ")


def root():
    with open("/file", "wb"):
        pass


def log():
    """Far beyond what a pipe holds: what nobody reads is let go, and the program is not stopped."""
    for _ in range(2048):
        os.write(2, b"\x1b[2J" * 1024)
    print("log: 8", end=" ")


def clock():
    time.clock_settime(time.CLOCK_REALTIME, 0)


for take in (processes, memory, descriptors, disk, root, log, clock):
    try:
        take()
        print("(nothing)", flush=True)
    except OSError as error:
        print(f"({error.strerror})", flush=True)
print("end", flush=True)
