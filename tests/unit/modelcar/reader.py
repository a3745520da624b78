"""A process that reads images as it is told, so that its memory can be measured: see test_hostile.py.

Each line of standard input is a JSON list: a reference and a folder. Each line of standard output says what became of
`inspect`, `verify` and `pull`, and the most memory (bytes) that the process has ever had.
"""

import json
import sys
from functools import partial
from pathlib import Path

from roadie import modelcar
from roadie.errors import RoadieError


def main() -> None:
    for line in sys.stdin:
        reference, folder = json.loads(line)
        said = []
        for read in (modelcar.inspect, modelcar.verify, partial(modelcar.pull, directory=Path(folder))):
            try:
                read(reference)
                said.append("")
            except RoadieError as error:
                said.append(str(error))
            except BaseException as error:  # noqa: BLE001 - this is what the test is for
                said.append(f"UNFORESEEN {error!r}")
        # Not getrusage, whose peak goes back to before the exec.
        peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
        print(json.dumps([said, peak]), flush=True)


if __name__ == "__main__":
    main()
