"""Writes what the receiver's configuration takes into the schema of its chart's values.

    python -m tests.schemas.receiver

So `helm install` refuses a misspelt key, before any pod does.
"""

import json
from pathlib import Path
from typing import Any

from roadie.triggers.config import Config

CHART = Path(__file__).resolve().parents[2] / "deploy" / "receiver"
SCHEMA = CHART / "values.schema.json"

# What the chart sets itself; see receiver.config in its templates/_helpers.tpl.
OURS = {"Config": ["journal"], "Listen": ["host", "port"], "Runs": ["state"]}
# Words and defaults are the configuration's matter, and a duration has more forms than the format of that name.
LEFT_OUT = ("title", "description", "default", "format")
WIDTH = 110


def schema() -> dict[str, Any]:
    """The schema of the chart's values as it should be: by hand but for `config` and `$defs`."""
    config = Config.model_json_schema()
    definitions = config.pop("$defs")
    for name, keys in OURS.items():
        for key in keys:
            del {**definitions, "Config": config}[name]["properties"][key]
    whole = json.loads(SCHEMA.read_text())
    whole["properties"]["config"] = _plain(config)
    return {**whole, "$defs": _plain(definitions, names=True)}


def _plain(node: Any, names: bool = False) -> Any:
    """`node` without LEFT_OUT; with `names`, its keys are names of settings and no words of JSON Schema."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if names or key not in LEFT_OUT}
    return {key: _plain(value, names=key == "properties" and not names) for key, value in kept.items()}


def text(node: Any, margin: str = "") -> str:
    """`node` as JSON, with each part that is short enough on one line."""
    line = json.dumps(node)
    if len(margin) + len(line) <= WIDTH or not isinstance(node, dict):
        return line
    inner = margin + "  "
    members = [f"{inner}{json.dumps(key)}: {text(value, inner)}" for key, value in node.items()]
    return "{\n" + ",\n".join(members) + f"\n{margin}}}"


if __name__ == "__main__":
    SCHEMA.write_text(text(schema()) + "\n")
