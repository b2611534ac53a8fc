"""Runs a command and writes what it cost to a file descriptor, from a process that is itself small.

Linux counts the memory of the process that forked a command as the command's own peak; so the
bench, which is large, has this one do it. Standard library only, started with `python -I -S`.
"""

import os
import sys
import time

answer, command = int(sys.argv[1]), sys.argv[2:]
null = os.open(os.devnull, os.O_RDWR)
started = time.perf_counter()
child = os.fork()
if child == 0:
    os.close(answer)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.execvp(command[0], command)  # noqa: S606  (no shell is what is wanted)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - started
cpu = usage.ru_utime + usage.ru_stime
code = os.waitstatus_to_exitcode(status)
os.write(answer, f"{wall} {cpu} {usage.ru_maxrss / 1024} {code}".encode())
