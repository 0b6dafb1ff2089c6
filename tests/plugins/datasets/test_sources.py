from __future__ import annotations

import csv
import hashlib
import json
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from bench.data import image_digests
from bench.errors import MissingData, Unavailable, UsageError
from bench_datasets.digits import Digits, choose_test_positions, committed_test_positions, enlarge
from bench_datasets.folder import ImageFolder
from bench_datasets.official import CIFAR10, MNIST, SVHN, FashionMNIST
from bench_datasets.plugin import bench_datasets
from bench_datasets.scaling import scaled
from bench_datasets.signs import GTSRB

RNG = np.random.default_rng(0)
ENTRIES = {entry.name: entry for entry in bench_datasets()}


def _source(name: str):
    module, _, factory = ENTRIES[name].factory.partition(":")
    return getattr(import_module(module), factory)()


# ---- entries


def test_listing_sources_and_their_files_imports_neither_torch_nor_torchvision(tmp_path):
    program = f"""
import sys, importlib, pathlib
from bench_datasets.plugin import bench_datasets
from bench.errors import UsageError
for entry in bench_datasets():
    module, _, factory = entry.factory.partition(":")
    try:
        getattr(importlib.import_module(module), factory)().files(pathlib.Path({str(tmp_path)!r}))
        assert entry.embedded, entry.name
    except UsageError:
        assert not entry.embedded, entry.name
assert not {{"torch", "torchvision", "sklearn"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_each_entry_names_a_threat_of_every_norm_with_the_headline_first():
    for entry in ENTRIES.values():
        assert [threat.norm for threat in entry.threats] == ["linf", "l2", "l1", "l0"], entry.name
        assert all(len(set(threat.epsilons)) == len(threat.epsilons) > 0 for threat in entry.threats)
    assert ENTRIES["mnist"].threats[0].epsilons[0] == 0.3
    assert ENTRIES["mnist"].threats[1].epsilons[0] == 1.5
    assert ENTRIES["cifar10"].threats[0].epsilons[0] == 8 / 255
    assert ENTRIES["cifar10"].threats[1].epsilons[0] == 0.5


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "svhn", "gtsrb"])
def test_a_missing_data_set_says_where_it_looked_and_how_to_get_it(name, tmp_path):
    with pytest.raises(MissingData) as caught:
        _source(name).files(tmp_path)
    text = str(caught.value)
    assert repr(name) in text
    assert str(tmp_path) in text
    assert "--download" in text
    assert "--data-dir" in text


def test_a_torchvision_that_does_not_load_is_explained(tmp_path, monkeypatch):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    for module in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, module)
    _write_mnist(tmp_path, "MNIST")
    with pytest.raises(Unavailable, match=r"torchvision [\d.]+.* torch [\d.]+.*nms does not exist.*from one index"):
        MNIST().load(tmp_path, "test")


# ---- digits


def test_the_digits_test_list_is_what_the_rule_gives_and_never_changes():
    from sklearn.datasets import load_digits

    bundled = load_digits()
    committed = committed_test_positions()
    assert committed.tolist() == choose_test_positions(bundled.images.astype(np.int64), bundled.target)
    assert hashlib.sha256(json.dumps(committed.tolist()).encode()).hexdigest() == _FROZEN


_FROZEN = "c9110f828883c58a5f9d34dc988bcbfe1f2d853fdb5d97aac46a518333e622c0"


def test_the_digits_are_whole_and_every_block_of_the_test_set_is_stratified():
    train, test = (Digits().load(Path(), split) for split in ("train", "test"))
    assert (train.x.shape, test.x.shape) == ((1413, 1, 32, 32), (384, 1, 32, 32))
    assert train.x.dtype == test.x.dtype == np.uint8
    assert len(set(image_digests(train.x)) | set(image_digests(test.x))) == 1797
    for block in range(3):
        counts = np.bincount(test.y[128 * block : 128 * (block + 1)], minlength=10)
        assert counts.min() >= 12
        assert counts.max() <= 14


def test_digits_are_enlarged_by_bilinear_interpolation():
    levels = RNG.integers(0, 17, (5, 8, 8))
    enlarged = enlarge(levels)
    from scipy.ndimage import map_coordinates

    where = (np.arange(32) + 0.5) / 4 - 0.5
    for image, big in zip(levels, enlarged, strict=True):
        grid = np.meshgrid(where, where, indexing="ij")
        expected = map_coordinates(image.astype(float), grid, order=1, mode="nearest") * 255 / 16
        assert np.abs(big - expected).max() <= 0.5 + 1e-9
    assert enlarge(np.full((1, 8, 8), 16)).min() == 255


# ---- files in the origin's layout


def _idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, values.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in values.shape)
    path.write_bytes(head + values.astype(np.uint8).tobytes())


def _write_mnist(root: Path, folder: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    written = {}
    for split, part, count in (("train", "train", 7), ("test", "t10k", 3)):
        x, y = RNG.integers(0, 256, (count, 28, 28)), RNG.integers(0, 10, count)
        _idx(root / folder / "raw" / f"{part}-images-idx3-ubyte", x)
        _idx(root / folder / "raw" / f"{part}-labels-idx1-ubyte", y)
        written[split] = x, y
    return written


@pytest.mark.parametrize(("source", "folder"), [(MNIST(), "MNIST"), (FashionMNIST(), "FashionMNIST")])
def test_idx_files_are_read(source, folder, tmp_path):
    written = _write_mnist(tmp_path, folder)
    assert len(source.files(tmp_path)) == 4
    for split, (x, y) in written.items():
        images = source.load(tmp_path, split)
        assert images.x.dtype == np.uint8
        assert images.y.dtype == np.int64
        assert np.array_equal(images.x, x[:, None])
        assert np.array_equal(images.y, y)
    assert len(source.class_names()) == 10


def test_a_cut_off_file_is_a_plain_error(tmp_path):
    _write_mnist(tmp_path, "MNIST")
    path = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MissingData, match="is damaged"):
        MNIST().load(tmp_path, "test")


def test_svhn_files_are_read_and_the_label_10_is_the_digit_0(tmp_path, monkeypatch):
    import torchvision

    known = dict(torchvision.datasets.SVHN.split_list)
    written = {}
    for split, count in (("train", 6), ("test", 4)):
        x = RNG.integers(0, 256, (32, 32, 3, count)).astype(np.uint8)
        y = (np.arange(count) % 10 + 1).astype(np.uint8)
        y[0] = 10
        path = tmp_path / f"{split}_32x32.mat"
        savemat(path, {"X": x, "y": y[:, None]})
        known[split] = [*known[split][:2], hashlib.md5(path.read_bytes()).hexdigest()]
        written[split] = x, y
    with pytest.raises(MissingData, match="is damaged"):
        SVHN().load(tmp_path, "test")  # not the origin's bytes
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", known)
    for split, (x, y) in written.items():
        images = SVHN().load(tmp_path, split)
        assert np.array_equal(images.x, x.transpose(3, 2, 0, 1))
        assert np.array_equal(images.y, y % 10)
        assert images.x.flags.c_contiguous


def test_cifar10_files_are_read(tmp_path, monkeypatch):
    import torchvision

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    written = []
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        data, labels = RNG.integers(0, 256, (2, 3072)).astype(np.uint8), RNG.integers(0, 10, 2).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}))
        written.append((data.reshape(2, 3, 32, 32), labels))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR10.classes)}))

    def digest(name: str) -> str:
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    reader = torchvision.datasets.CIFAR10
    monkeypatch.setattr(reader, "train_list", [[n, digest(n)] for n, _ in reader.train_list])
    monkeypatch.setattr(reader, "test_list", [[n, digest(n)] for n, _ in reader.test_list])
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": digest("batches.meta")})
    train, test = (CIFAR10().load(tmp_path, split) for split in ("train", "test"))
    assert np.array_equal(train.x, np.concatenate([x for x, _ in written[:5]]))
    assert train.y.tolist() == [label for _, labels in written[:5] for label in labels]
    assert np.array_equal(test.x, written[5][0])


def test_gtsrb_folders_are_read_and_scaled(tmp_path):
    base = tmp_path / "gtsrb"
    images = {}
    for number in (0, 14, 42):
        folder = base / "GTSRB" / "Training" / f"{number:05d}"
        folder.mkdir(parents=True)
        for frame in range(2):
            images[number, frame] = RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(images[number, frame]).save(folder / f"00000_{frame:05d}.ppm")
        (folder / f"GT-{number:05d}.csv").write_text("Filename;Width\n")
    tested = base / "GTSRB" / "Final_Test" / "Images"
    tested.mkdir(parents=True)
    grey = np.full((50, 41, 3), 77, dtype=np.uint8)
    for number in range(3):
        Image.fromarray(grey + number).save(tested / f"{number:05d}.ppm")
    with pytest.raises(MissingData, match=r"GT-final_test\.csv"):
        GTSRB().files(tmp_path)
    with (base / "GT-final_test.csv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(["Filename", "Width", "Height", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId"])
        for number, label in ((2, 5), (0, 16), (1, 1)):
            rows.writerow([f"{number:05d}.ppm", 41, 50, 5, 5, 36, 45, label])

    assert len(GTSRB().files(tmp_path)) == 1 + 6 + 3
    train, test = (GTSRB().load(tmp_path, split) for split in ("train", "test"))
    assert train.y.tolist() == [0, 0, 14, 14, 42, 42]
    assert np.array_equal(train.x[0], images[0, 0].transpose(2, 0, 1))
    assert test.x.shape == (3, 3, 32, 32)
    assert test.x[:, 0, 0, 0].tolist() == [79, 77, 78]
    assert test.y.tolist() == [5, 16, 1]
    assert len(set(GTSRB().class_names())) == 43
    (tested / "00001.ppm").unlink()
    with pytest.raises(MissingData, match=r"00001\.ppm"):
        GTSRB().load(tmp_path, "test")


# ---- image folders


@pytest.fixture
def photos(tmp_path) -> Path:
    for split, counts in (("train", {"cat": 2, "dog": 1, "ant": 1}), ("test", {"cat": 3, "dog": 1})):
        for name, count in counts.items():
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(np.full((20, 30, 3), 10 * number, dtype=np.uint8)).save(folder / f"{number}.PNG")
            (folder / "notes.txt").write_text("no image")
            (folder / "._0.png").write_text("left by another system")
    return tmp_path


def test_an_image_folder_is_read_in_turn_from_its_classes(photos):
    source = ImageFolder(path=str(photos), size=16, channels=1)
    assert source.class_names() == ("ant", "cat", "dog")
    assert len(source.files(Path("elsewhere"))) == 8
    test = source.load(Path("elsewhere"), "test")
    assert test.x.shape == (4, 1, 16, 16)
    assert test.y.tolist() == [1, 2, 1, 1]
    assert test.x[:, 0, 0, 0].tolist() == [0, 0, 10, 20]
    assert ImageFolder(path=str(photos)).load(Path(), "train").x.shape == (4, 3, 32, 32)


def test_images_of_the_right_size_keep_their_bytes(photos):
    pixels = RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(photos / "train" / "ant" / "0.png")
    (photos / "train" / "ant" / "0.PNG").unlink()
    assert np.array_equal(ImageFolder(path=str(photos)).load(Path(), "train").x[0], pixels.transpose(2, 0, 1))


def test_an_image_folder_that_cannot_be_used_is_a_plain_error(photos):
    with pytest.raises(UsageError, match="imagefolder:PATH"):
        ImageFolder().files(Path())
    with pytest.raises(MissingData, match=r"no folder .*nowhere/train"):
        ImageFolder(path=str(photos / "nowhere")).files(Path())
    with pytest.raises(MissingData, match="cannot be downloaded"):
        ImageFolder(path=str(photos)).download(Path())
    (photos / "test" / "bird").mkdir()
    with pytest.raises(UsageError, match="Class 'bird'"):
        ImageFolder(path=str(photos)).files(Path())


def test_a_damaged_image_is_named(photos):
    damaged = photos / "test" / "cat" / "1.PNG"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(UsageError, match=r"cat/1\.PNG cannot be read"):
        ImageFolder(path=str(photos)).load(Path(), "test")


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight_over_their_whole_range(tmp_path, suffix, channels):
    values = np.array([[0, 255], [257 * 100, 65535]], dtype=np.uint16)
    file = tmp_path / f"x.{suffix}"
    Image.fromarray(values).save(file)
    assert scaled(file, 2, channels)[0].tolist() == [[0, 1], [100, 255]]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_of_an_unknown_range_are_refused(tmp_path, dtype):
    file = tmp_path / "x.tif"
    Image.fromarray(np.full((2, 2), 1000, dtype=dtype)).save(file)
    with pytest.raises(UsageError, match=r"x\.tif cannot be read: the range of its values"):
        scaled(file, 2, 1)


def test_an_image_stands_as_its_exif_orientation_says(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.array([[0, 50], [100, 150]], dtype=np.uint8)).save(tmp_path / "x.png", exif=turned)
    assert scaled(tmp_path / "x.png", 2, 1)[0].tolist() == [[100, 0], [150, 50]]


def test_what_is_transparent_lies_on_white(tmp_path):
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert scaled(tmp_path / "x.png", 2, 1)[0].tolist() == [[0, 255], [255, 255]]


def test_a_folder_without_images_is_missing_data(tmp_path):
    for name in ("a", "b"):
        for split in ("train", "test"):
            (tmp_path / split / name).mkdir(parents=True)
    with pytest.raises(MissingData, match="no image below"):
        ImageFolder(path=str(tmp_path)).files(Path())
