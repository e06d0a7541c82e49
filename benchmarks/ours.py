"""This package's sides of the comparisons."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brainslice.config import Config
    from brainslice.paths import ProjectPaths
    from brainslice.training import Epoch

Settings = dict[str, Any]
Work = Callable[[], int | dict[str, float]]


def cold(settings: Settings) -> Work:
    """Open the bundle, predict one scan and make its heat map."""
    from brainslice.inference import Predictor

    def work() -> int:
        Predictor.open(settings["bundle"]).predict(Path(settings["images"][0])).heat_map()
        return 1

    return work


def help_text(_: Settings) -> Work:
    """Print the help of the command line."""
    from brainslice.cli.main import main

    def work() -> int:
        try:
            main("--help")
        except SystemExit:
            return 1
        return 1

    return work


def warm(settings: Settings) -> Work:
    """Predict a few scans one by one, from file to verdict."""
    return _one_by_one(settings, explained=False)


def warm_explained(settings: Settings) -> Work:
    """Predict a few scans one by one, each with its heat map."""
    return _one_by_one(settings, explained=True)


def _one_by_one(settings: Settings, *, explained: bool) -> Work:
    predictor, paths = _predictor(settings), [Path(name) for name in settings["images"][: settings["few"]]]

    def work() -> int:
        for path in paths:
            prediction = predictor.predict(path)
            if explained:
                prediction.heat_map()
        return len(paths)

    return work


def folder(settings: Settings) -> Work:
    """Predict all scans with ``predict_many``."""
    predictor, paths = _predictor(settings), [Path(name) for name in settings["images"]]

    def work() -> int:
        return sum(1 for _ in predictor.predict_many(paths))

    return work


def dropout_draws(settings: Settings) -> Work:
    """Predict one scan with 100 dropout draws."""
    from brainslice.inference import with_mc_dropout

    predictor, path = with_mc_dropout(_predictor(settings), 100), Path(settings["images"][0])

    def work() -> int:
        predictor.predict(path)
        return 1

    return work


def dropout_passes(settings: Settings) -> Work:
    """Run the whole network 100 times on one scan, as dropout in a network is drawn otherwise."""
    predictor = _predictor(settings)
    inputs = _inputs(settings, 1)

    def work() -> int:
        for _ in range(100):
            predictor.score(inputs)
        return 1

    return work


def ensemble(settings: Settings) -> Work:
    """Run an ensemble of five networks that share the frozen part, in one graph."""
    from brainslice.inference import OnnxSession

    session, batch = OnnxSession(_ensemble_graphs(settings)[0]), _inputs(settings, 32)[..., None].astype("f4")

    def work() -> int:
        session.run(batch)
        return len(batch)

    return work


def ensemble_parts(settings: Settings) -> Work:
    """Run the frozen part once, and the five trainable parts on its output, each from a graph of its own."""
    from brainslice.inference import OnnxSession

    frozen, *parts = map(OnnxSession, _ensemble_graphs(settings)[1:])
    batch = _inputs(settings, 32)[..., None].astype("f4")

    def work() -> int:
        (activations,) = frozen.run(batch)
        for part in parts:
            part.run(activations)
        return len(batch)

    return work


def _ensemble_graphs(settings: Settings) -> list[Path]:
    """Return the graphs of the ensemble, the frozen part and the trainable parts; export them if they are not there."""
    import keras

    from brainslice.models import NetworkConfig, build_network, export_frozen_part, export_onnx, pack_graphs

    folder = Path(settings["scratch"]) / "ensemble"
    names = [folder / f"{name}.onnx" for name in ("ensemble", "frozen", *(f"part_{number}" for number in range(5)))]
    if names[0].exists():
        return names
    folder.mkdir(exist_ok=True)
    network = build_network(NetworkConfig(weights=None, head="pyramid", healthy=2))
    export_frozen_part(network, names[1])
    activations = [keras.InputSpec(shape=network.trainable_part.input_shape, dtype="float32", name="activations")]
    members = []
    for number, path in enumerate(names[2:]):
        for weight in network.trainable_part.trainable_weights:
            weight.assign(weight + 0.01 * keras.random.normal(weight.shape, seed=number))
        network.trainable_part.export(path, format="onnx", verbose=False, input_signature=activations)
        members.append(folder / f"member_{number}.onnx")
        export_onnx(network, members[-1])
    pack_graphs(members, names[0])
    return names


def volume(settings: Settings) -> Work:
    """Predict a volume, from file to verdict."""
    from brainslice.inference import predict_volume
    from brainslice.scan import read_volume

    predictor, path = _predictor(settings), Path(settings["volume"])

    def work() -> int:
        return len(predict_volume(predictor, read_volume(path)).slices)

    return work


def volume_slices(settings: Settings) -> Work:
    """Predict the slices of the same volume one by one."""
    from brainslice.inference import predict_volume
    from brainslice.scan import read_volume

    predictor, path = _predictor(settings), Path(settings["volume"])
    numbers = [each.number - 1 for each in predict_volume(predictor, read_volume(path)).slices]

    def work() -> int:
        read = read_volume(path)
        for number in numbers:
            predictor.predict_inputs(["slice"], [predictor.recipe(read.axial_slice(number))])
        return len(numbers)

    return work


def service(settings: Settings) -> Work:
    """Post every scan to the service, with some clients at one time; without a socket."""
    work = _service(settings)
    return lambda: len(work()[1])


def service_slowest(settings: Settings) -> Work:
    """Give the 99th percentile of the response time instead of the cost."""
    work = _service(settings)

    def slowest() -> dict[str, float]:
        times = sorted(work()[1])
        return {"seconds": times[-1 - len(times) // 100]}

    return slowest


def service_bound(settings: Settings) -> Work:
    """Give the time that a full queue takes instead of the cost."""
    from brainslice.service import Limits

    work = _service(settings)

    def bound() -> dict[str, float]:
        seconds, each = work()
        return {"seconds": Limits().requests * seconds / len(each)}

    return bound


def _service(settings: Settings) -> Callable[[], tuple[float, list[float]]]:
    import asyncio
    import time

    import httpx2

    from brainslice.service import Settings as ServiceSettings
    from brainslice.service import create_app

    predictor, clients = _predictor(settings), settings["clients"]
    forms = [(Path(name).name, Path(name).read_bytes()) for name in settings["images"]]

    async def turn() -> tuple[float, list[float]]:
        app, waiting, times = create_app(predictor, ServiceSettings()), iter(forms), []

        async def ask(client: httpx2.AsyncClient) -> None:
            for name, data in waiting:
                asked = time.perf_counter()
                (await client.post("/predict", files={"files": (name, data)})).raise_for_status()
                times.append(time.perf_counter() - asked)

        start = time.perf_counter()
        async with (
            app.state.service.lifespan(),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client,
        ):
            await asyncio.gather(*(ask(client) for _ in range(clients)))
        return time.perf_counter() - start, times

    return lambda: asyncio.run(turn())


def audit(settings: Settings) -> Work:
    """Audit a folder: fingerprints, candidates, confirmation, groups."""
    return _audit(settings["audited"])


def audit_whole(settings: Settings) -> Work:
    """Audit the whole folder of pictures."""
    return _audit(settings["whole"])


def audit_tenth(settings: Settings) -> Work:
    """Audit every tenth of these pictures."""
    return _audit(settings["tenth"])


def audit_drawn(settings: Settings) -> Work:
    """Audit drawn heads."""
    return _audit(settings["drawn_heads"])


def audit_drawn_tenth(settings: Settings) -> Work:
    """Audit a tenth as many drawn heads."""
    return _audit(settings["drawn_tenth"])


def _audit(folder: str) -> Work:
    from brainslice.dataset import audit_folder

    return lambda: len(audit_folder(Path(folder)).files)


def feeding(settings: Settings) -> Work:
    """Feed one epoch to training, from the cache of decoded scans."""
    import numpy as np

    from brainslice.models import one_hot
    from brainslice.training import BatchSequence, Shuffle, TrainingData

    inputs = np.lib.format.open_memmap(
        settings["scratch"] + "/decoded.npy", mode="w+", shape=(512, 224, 224), dtype="u1"
    )
    inputs[:] = np.resize(_inputs(settings, 32), inputs.shape)
    data = TrainingData(np.arange(512), one_hot(np.arange(512) % 4, 4), np.ones(4, np.float32))
    batches = BatchSequence(data, lambda rows, _: inputs[rows].astype(np.float32)[..., np.newaxis], Shuffle(32, 1))

    def work() -> int:
        return sum(len(batches[step][0]) for step in range(len(batches)))

    return work


def step(settings: Settings) -> Work:
    """Train the whole network for a few steps on one batch."""
    from keras_sides import batch, network

    from brainslice.config import TrainConfig
    from brainslice.training import StageConfig, compile_model

    model = network()
    compile_model(model, StageConfig("all", 1, 1e-4, TrainConfig()), 4)
    inputs, targets = batch(settings["batch"])

    def work() -> int:
        for _ in range(4):
            model.train_on_batch(inputs, targets, return_dict=True)
        return 4 * len(inputs)

    return work


def frozen_epoch(_: Settings) -> Work:
    """Train the head for an epoch on cached activations of 4,096 scans."""
    import keras
    import numpy as np

    features = np.random.default_rng(0).normal(size=(4096, 1280)).astype(np.float32)
    targets = np.eye(4, dtype=np.float32)[np.arange(4096) % 4]
    model = keras.Sequential([keras.Input((1280,)), keras.layers.Dropout(0.2), keras.layers.Dense(4, "softmax")])
    model.compile("adamw", "categorical_crossentropy")

    def work() -> int:
        for start in range(0, 4096, 32):
            model.train_on_batch(features[start : start + 32], targets[start : start + 32])
        return 4096

    return work


TARGET_F1 = 0.88


def time_to_f1(settings: Settings) -> Work:
    """Train on a prepared set until the macro F1 score of the validation fold reaches the target."""
    from brainslice.training import fit_network

    paths, config = prepared(settings)

    class Reached(Exception):  # noqa: N818 - it ends the training, no error
        pass

    def stop(epochs: Sequence[Epoch]) -> None:
        print(f"epoch {epochs[-1].number}: macro F1 {epochs[-1].validation_macro_f1:.3f}", file=sys.stderr, flush=True)
        if epochs[-1].validation_macro_f1 >= TARGET_F1:
            raise Reached

    def work() -> int:
        with contextlib.suppress(Reached):
            fit_network(paths, config, each_epoch=stop)
            sys.exit("the target was not reached")
        return 1

    return work


def prepared(settings: Settings) -> tuple[ProjectPaths, Config]:
    """Prepare the pictures in a project of its own, which is not timed."""
    from brainslice.config import read_config
    from brainslice.dataset import prepare_dataset
    from brainslice.paths import ProjectPaths

    root = Path(tempfile.mkdtemp(dir=settings["scratch"]))
    prepare_dataset(Path(settings["whole"]), root)
    config = read_config(None, (*settings["overrides"], f"model.weights={settings['weights']}"))
    return ProjectPaths.of(root, config), config


def _predictor(settings: Settings) -> Any:  # noqa: ANN401 - imported when used
    from brainslice.inference import Predictor

    return Predictor.open(settings["bundle"])


def _inputs(settings: Settings, count: int) -> Any:  # noqa: ANN401 - numpy is imported when used
    import numpy as np

    from brainslice.scan import read_scan

    recipe = _predictor(settings).recipe
    return np.stack([recipe(read_scan(Path(name))) for name in islice(cycle(settings["images"]), count)])


if __name__ == "__main__":
    sys.exit("run python -m benchmarks")
