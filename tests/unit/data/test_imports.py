"""What the room needs where it runs: a step installs no more than it uses."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
for name in ("numpy", "dataframely", "boto3", "botocore", "stamina"):
    sys.modules[name] = None  # makes importing it fail
from pathlib import Path
from roadie import data
examples = Path(sys.argv[1])
data.split(examples, Path("train"), Path("holdout"), share=0.2, seed=0)
data.summarise(Path("train"))
data.load_charts(sys.argv[2], Path("again"))
"""


def test_tables_on_disk_need_nothing_but_polars(examples: Path, tables: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(examples), str(tables)]
    subprocess.run(command, check=True, cwd=tmp_path)
