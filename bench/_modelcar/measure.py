"""Run one command and print what it took as JSON; a small process, as Linux counts the parent's memory at a fork."""

import json
import os
import sys
import time


def written() -> int:
    """Bytes that this process and the children it waited for wrote to files (not to sockets)."""
    with open("/proc/self/io", encoding="ascii") as file:  # noqa: PTH123 - pathlib would make this process larger
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes"))


def main() -> None:
    """argv: where the command's output goes, then the command."""
    before, started = written(), time.monotonic()
    process = os.fork()
    if not process:
        output = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execvp(sys.argv[2], sys.argv[2:])
    _, status, usage = os.wait4(process, 0)
    print(
        json.dumps(
            {
                "code": os.waitstatus_to_exitcode(status),
                "wall": time.monotonic() - started,
                "cpu": usage.ru_utime + usage.ru_stime,
                "rss": usage.ru_maxrss * 1024,
                "written": written() - before,
            }
        )
    )


main()
