"""Roadie's default trainer against the network that the reference pipeline trains for the same charts.

The reference, rebuilt from its description: one row per chart entry, standardised features, a Keras network of 32, 64,
128 and 256 units with sigmoid outputs, categorical cross-entropy, Adam, batches of 32, 3 epochs; its tables go from
step to step as CSV and pickle. It runs in an environment of its own, made once by

    python3.11 -m venv keras && keras/bin/pip install tensorflow-cpu pandas pyarrow

and then

    python bench/training.py --keras keras/bin/python [--charts DIRECTORY] [--short]

Without --keras only Roadie is measured. --charts is a folder of real charts (quality on the built-in sample is easy);
--short leaves the reference out at 1.1 million rows, where it takes about five minutes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 1_100_000
HOLDOUT_SHARE = 0.4  # large, because the quality of both hangs on few songs
TARGETS = """targets: fit 40x faster at 1.1M rows and 8x at 20k, a tenth of the memory at 1.1M, 1.2x the gain over the
prior with an interval that excludes 0, at most the latency, hand-off 10x faster"""


def main() -> None:
    """Measure both, and print the figures side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", help="a Python with tensorflow-cpu, pandas and pyarrow")
    parser.add_argument("--charts", default="sample", help="a folder of chart tables (default: the sample)")
    parser.add_argument("--short", action="store_true", help="leave the reference out at 1.1 million rows")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return
    if not options.keras:
        print("no --keras given: the reference is not measured (see the top of this file for its set-up)\n")
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Make the tables, run each measurement in a process of its own, and print what came out."""
    from roadie.data import load_charts, split

    charts, long = folder / "charts.parquet", folder / "long.parquet"
    found = load_charts(options.charts, charts)
    print(f"{options.charts}: {found.rows:,} entries, {found.examples:,} (song, country) pairs, {found.songs:,} songs")
    lengthen(charts, long)
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    split(charts, train, holdout, share=HOLDOUT_SHARE, seed=0)

    ours = {
        name: run(sys.executable, "roadie", table, folder / name) for name, table in (("20k", charts), ("1.1M", long))
    }
    ours |= {"hand-off": run(sys.executable, "roadie-hand-off", long, folder / "hand-off")}
    run(sys.executable, "roadie", train, folder / "ours")
    theirs: dict[str, dict[str, float]] = {}
    if options.keras:
        theirs["20k"] = run(options.keras, "keras", charts, folder / "20k.npz")
        theirs["hand-off"] = run(options.keras, "keras-hand-off", long, folder / "hand-off")
        run(options.keras, "keras", train, folder / "theirs.npz")
        if not options.short:
            theirs["1.1M"] = run(options.keras, "keras", long, folder / "long.npz")
    for name, unit in (("20k", "fit"), ("1.1M", "fit"), ("hand-off", "write and read 1.1M rows")):
        for figure, form in (("seconds", "{:8.2f} s "), ("megabytes", "{:8.0f} MB")):
            line = f"{name:>9}  {unit:<26} Roadie {form.format(ours[name][figure])}"
            if name in theirs:
                line += f"   reference {form.format(theirs[name][figure])}"
                line += f"   {theirs[name][figure] / ours[name][figure]:6.1f}x"
            print(line)
    judge(folder / "ours/1/model.onnx", folder / "theirs.npz", holdout, folder)
    print(TARGETS)


def judge(ours: Path, weights: Path, holdout: Path, folder: Path) -> None:
    """Compare quality on songs that neither has seen, and the latency of one song."""
    from roadie.evaluation import evaluate

    reference = export_reference(weights, folder / "theirs.onnx") if weights.exists() else None
    found = evaluate(ours, reference, holdout, gate={"metric": "log_loss"}, report=folder / "report.html")
    values = found.metrics
    print(f"\nholdout of {found.groups:,} songs, {found.entries:,} entries")
    for name in ("gain", "top_1", "top_5", "macro_auc"):
        line = f"{name:>9}  Roadie {values[f'challenger_{name}']:.3f}"
        if reference:
            line += f"   reference {values[f'champion_{name}']:.3f}   difference {values[f'improvement_{name}']:+.3f}"
            line += f" [{values[f'improvement_{name}_lower']:+.3f}, {values[f'improvement_{name}_upper']:+.3f}]"
        print(line)
    for role, model in (("Roadie", ours), ("reference", reference)):
        if model:
            print(f"{'p50':>9}  {role} {latency(model):.1f} microseconds a song, {model.stat().st_size:,} bytes")


def lengthen(charts: Path, path: Path) -> None:
    """A year's worth of entries: four songs for each of the sample's, slightly different, with heavier weights."""
    import polars as pl

    from roadie.data import FEATURES

    table = pl.read_parquet(charts)
    copies = [
        table.with_columns(pl.col("spotify_id") + f"-{copy}", *(pl.col(name) * (1 + copy / 50) for name in FEATURES))
        for copy in range(4)
    ]
    factor = ROWS / (4 * table["weight"].sum())
    longer = pl.concat(copies).with_columns((pl.col("weight") * factor).round().clip(1).cast(pl.Int64))
    longer.write_parquet(path)


def run(python: str, name: str, source: Path, target: Path) -> dict[str, float]:
    """Run one measurement in a fresh process, so that its peak memory is its own."""
    command = [python, __file__, "--worker", name, str(source), str(target)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def work(name: str, source: str, target: str) -> None:
    """Do one measurement and print it as JSON."""
    work = {"roadie": fit_roadie, "roadie-hand-off": hand_on_parquet, "keras": fit_keras, "keras-hand-off": hand_on_csv}
    seconds = work[name](Path(source), Path(target))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": peak}))


def fit_roadie(source: Path, target: Path) -> float:
    """Everything that the step does: read, fit, export, check the export."""
    from roadie.training import train

    return train(source, target, hyperparameters={}, seed=0).seconds


def fit_keras(source: Path, target: Path) -> float:
    """The reference's fit alone, without its preparation."""
    import numpy as np
    import pandas as pd
    from tensorflow import keras

    keras.utils.set_random_seed(0)
    table = pd.read_parquet(source)
    table = table.loc[table.index.repeat(table.pop("weight"))]
    classes = np.unique(table["country"])
    features = table.drop(columns=["spotify_id", "country"]).to_numpy()
    mean, scale = features.mean(axis=0), features.std(axis=0)
    network = keras.Sequential([keras.layers.Input((features.shape[1],))])
    for width in (32, 64, 128, 256):
        network.add(keras.layers.Dense(width, activation="relu"))
    network.add(keras.layers.Dense(len(classes), activation="sigmoid"))
    network.compile(optimizer="adam", loss="categorical_crossentropy")
    answers = pd.get_dummies(table["country"], dtype=float)
    started = time.perf_counter()
    network.fit((features - mean) / scale, answers, epochs=3, batch_size=32, verbose=0)
    seconds = time.perf_counter() - started
    np.savez(target, *network.get_weights(), classes=classes.astype(str), mean=mean, scale=scale)
    return seconds


def hand_on_parquet(source: Path, target: Path) -> float:
    """The examples table, written and read as between Roadie's steps."""
    import polars as pl

    from roadie.data import read_examples

    table = pl.read_parquet(source)
    started = time.perf_counter()
    table.write_parquet(target)
    read_examples(target)
    return time.perf_counter() - started


def hand_on_csv(source: Path, target: Path) -> float:
    """One row per entry as CSV, then features and one-hot labels as pickles, written and read."""
    import pandas as pd

    table = pd.read_parquet(source)
    table = table.loc[table.index.repeat(table.pop("weight"))]
    started = time.perf_counter()
    table.to_csv(target, index=False)
    table = pd.read_csv(target)
    for part in (table.drop(columns=["spotify_id", "country"]), pd.get_dummies(table["country"])):
        part.to_pickle(target)
        pd.read_pickle(target)
    return time.perf_counter() - started


def export_reference(weights: Path, path: Path) -> Path:
    """The reference as ONNX, its outputs divided by their sum, without which they are no probabilities."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    from roadie.data import FEATURES

    arrays = np.load(weights)
    layers = [arrays[f"arr_{index}"] for index in range(len(arrays.files) - 3)]
    constants = {name: arrays[name].astype(np.float32) for name in ("mean", "scale")} | {"axes": np.array([1])}
    nodes = [
        helper.make_node("Concat", list(FEATURES), ["raw"], axis=1),
        helper.make_node("Sub", ["raw", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["x0"]),
    ]
    for index in range(len(layers) // 2):
        constants |= {f"w{index}": layers[2 * index], f"b{index}": layers[2 * index + 1]}
        last = 2 * index + 2 == len(layers)
        nodes.append(helper.make_node("Gemm", [f"x{index}", f"w{index}", f"b{index}"], [f"s{index}"]))
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"s{index}"], [f"x{index + 1}"]))
    nodes.append(helper.make_node("ReduceSum", [nodes[-1].output[0], "axes"], ["sum"]))
    nodes.append(helper.make_node("Div", [nodes[-2].output[0], "sum"], ["probabilities"]))
    classes = arrays["classes"].tolist()
    graph = helper.make_graph(
        nodes,
        "reference",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in FEATURES],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(classes)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"roadie.classes": json.dumps(classes)})
    save(model, path)
    return path


def latency(model: Path) -> float:
    """Median microseconds for one song on one thread."""
    import numpy as np
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    song = {value.name: np.ones((1, 1), np.float32) for value in session.get_inputs()}
    times = []
    for _ in range(5000):
        started = time.perf_counter()
        session.run(None, song)
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6


if __name__ == "__main__":
    main()
