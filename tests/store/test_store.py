"""What the store says it has is there, whole, and as it was written."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from bench.errors import DamagedObject, MissingObject, StoreFull, UsageError
from bench.store import Store, default_root, files, objects
from bench.store.files import seal, unseal

KEY, OTHER, THIRD = "ab" * 16, "ac" * 16, "0f" * 16
TENSORS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([1, 2], dtype=np.int64)}
META = {"seconds": 1.5, "notes": {"name": "é", "shape": (1, 2)}}


def path_of(store: Store, key: str = KEY) -> Path:
    return store.root / "objects" / key[:2] / f"{key}.safetensors"


def temporaries(store: Store) -> list[Path]:
    return list(store.root.rglob("*.tmp"))


# ---------------------------------------------------------------------- objects


def test_an_object_is_read_back_as_it_was_written(store: Store) -> None:
    assert not store.has(KEY)
    store.write(KEY, TENSORS, META)
    found = store.read(KEY)
    assert store.has(KEY)
    assert list(found.tensors) == ["x", "y"]
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].flags.writeable
    assert found.meta == store.meta(KEY) == {"seconds": 1.5, "notes": {"name": "é", "shape": [1, 2]}}
    assert temporaries(store) == []


def test_an_object_is_read_as_torch_tensors(store: Store) -> None:
    torch = pytest.importorskip("torch")
    store.write(KEY, {**TENSORS, "mask": np.array([True, False]), "none": np.zeros((0, 2), np.uint8)}, META)
    found = store.read_torch(KEY)
    assert found.tensors["x"].dtype == torch.float32
    assert torch.equal(found.tensors["x"], torch.arange(6.0).reshape(2, 3))
    assert found.tensors["mask"].tolist() == [True, False]
    assert found.tensors["none"].shape == (0, 2)


dtypes = st.sampled_from(["?", "u1", "i1", "<i2", "<i4", "<i8", "<u4", "<f2", "<f4", "<f8", ">f4", ">i8", "<c8"])
some_arrays = dtypes.flatmap(lambda d: arrays.arrays(d, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0)))


@given(st.dictionaries(st.text(max_size=5), some_arrays, max_size=3), st.dictionaries(st.text(), st.integers()))
@settings(deadline=None)
def test_any_numbers_in_any_shape_are_read_back_bit_for_bit(tensors, meta) -> None:
    content = objects.encode({k: v for k, v in tensors.items() if k != "__metadata__"}, meta)
    found = objects.decode(content)
    assert found.meta == meta
    for name, tensor in tensors.items():
        assert found.tensors[name].shape == tensor.shape
        assert found.tensors[name].tobytes() == tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()


def test_a_view_that_is_not_contiguous_is_stored_as_it_looks(store: Store) -> None:
    base = np.arange(24).reshape(4, 6)
    store.write(KEY, {"t": base.T, "s": base[::2, ::-1]}, {})
    np.testing.assert_array_equal(store.read(KEY).tensors["t"], base.T)
    np.testing.assert_array_equal(store.read(KEY).tensors["s"], base[::2, ::-1])


def test_equal_objects_have_equal_bytes() -> None:
    turned = dict(reversed(TENSORS.items()))
    assert objects.encode(TENSORS, {"a": 1, "b": 2}) == objects.encode(turned, {"b": 2, "a": 1})


@pytest.mark.parametrize("tensors", [{"x": np.array(["text"])}, {"x": np.array([object()])}])
def test_what_is_no_number_is_refused_and_nothing_is_written(store: Store, tensors) -> None:
    with pytest.raises(TypeError, match="'x' must hold numbers"):
        store.write(KEY, tensors, {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write(KEY, {}, {"loss": float("nan")})
    assert not store.has(KEY)


def test_an_object_that_is_not_there_is_missing(store: Store) -> None:
    for read in (store.read, store.read_torch, store.meta):
        with pytest.raises(MissingObject, match=KEY):
            read(KEY)


@pytest.mark.parametrize("key", ["../../etc/passwd", "AB" * 16, "ab", "", "ab" * 16 + "\n"])
def test_only_a_key_is_a_key(store: Store, key: str) -> None:
    for call in (store.has, store.read, store.claim, store.scratch, store.failure):
        with pytest.raises(ValueError, match="A key is 32"):
            call(key)


# ---------------------------------------------------------------------- damage


def test_every_single_bit_flip_is_found() -> None:
    content = objects.encode({"x": np.arange(3, dtype=np.uint8)}, {"a": 1})
    harmless = []
    for position in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        try:
            found = objects.decode(bytes(flipped))
        except DamagedObject:
            continue
        harmless.append(position)
        assert found.meta == {"a": 1}
        np.testing.assert_array_equal(found.tensors["x"], np.arange(3, dtype=np.uint8))
    assert len(harmless) < 8  # an escape or a blank of the header that means the same either way


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_object_is_found_moved_aside_and_made_again(
    store: Store, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(KEY, {"x": np.zeros(1000)}, META)
    content = path_of(store).read_bytes()
    for read in (store.read, store.meta, store.read_torch):
        path_of(store).write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DamagedObject, match="moved to damaged/"):
            read(KEY)
        assert not store.has(KEY)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert "is damaged" in caplog.text
    assert (store.root / "damaged" / f"objects-{KEY}.safetensors").exists()
    store.write(KEY, TENSORS, META)
    assert store.read(KEY).meta["seconds"] == 1.5


def test_a_flipped_tensor_byte_is_found_when_read(store: Store) -> None:
    store.write(KEY, TENSORS, META)
    content = bytearray(path_of(store).read_bytes())
    content[-1] ^= 1
    path_of(store).write_bytes(content)
    with pytest.raises(DamagedObject, match="does not match the tensors"):
        store.read(KEY)
    assert not store.has(KEY)


def test_an_object_of_another_program_is_damaged_not_trusted(store: Store) -> None:
    path_of(store).parent.mkdir(parents=True)
    path_of(store).write_bytes(save(TENSORS))
    with pytest.raises(DamagedObject, match="description cannot be read"):
        store.read(KEY)


@given(st.dictionaries(st.text(), st.text() | st.integers(), max_size=4), st.data())
def test_a_sealed_text_is_read_back_or_found_damaged(value, data) -> None:
    content = seal(value)
    assert unseal(content) == value
    at = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DamagedObject):
        unseal(content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :])
    with pytest.raises(DamagedObject):
        unseal(content[:at])


def sealed(line: bytes) -> bytes:
    """Return a line with the checksum that it should have, whoever wrote it."""
    return line + b"\n" + blake2b(line, digest_size=16).hexdigest().encode() + b"\n"


@pytest.mark.parametrize(
    "line", [b"[1]", b"{oops", b"[" * 100_000, b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e400}', b"\xff"]
)
def test_a_text_that_is_no_object_of_finite_numbers_is_damaged_however_well_sealed(store: Store, line: bytes) -> None:
    path = store.root / "records" / KEY[:2] / f"{KEY}.json"
    for read in (lambda: store.record(KEY), store.records):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sealed(line))
        assert not read()
        assert not path.exists()
    text = line.decode("latin-1")
    envelope = {"meta": text, "meta_checksum": objects._digest(text.encode()), "checksum": objects._of_tensors(TENSORS)}
    for named in (json.dumps(envelope), text):
        path_of(store).parent.mkdir(parents=True, exist_ok=True)
        path_of(store).write_bytes(save(TENSORS, metadata={"bench": named}))
        with pytest.raises(DamagedObject, match="moved to damaged/"):
            store.read(KEY)


# ---------------------------------------------------------------------- failures, preimages, records


def test_a_failure_is_remembered_until_its_object_is_there(store: Store) -> None:
    assert store.failure(KEY) is None
    store.fail(KEY, "timed-out", "took longer than 5 s")
    assert store.failure(KEY) == {"status": "timed-out", "reason": "took longer than 5 s", "trace": "", "printed": ""}
    store.write(KEY, TENSORS, META)
    assert store.failure(KEY) is None
    path_of(store).unlink()
    assert store.failure(KEY) is None


def test_a_preimage_is_found_by_the_beginning_of_its_key(store: Store) -> None:
    store.remember(KEY, {"kind": "fit", "needs": [OTHER]})
    store.remember(OTHER, {"kind": "images"})
    store.remember(THIRD, {"kind": "train"})
    assert store.preimage("abab") == store.preimage(KEY) == {"kind": "fit", "needs": [OTHER]}
    assert store.preimage("0") == {"kind": "train"}
    with pytest.raises(UsageError, match=f"2 keys begin with 'a': {KEY}, {OTHER}. Give more digits"):
        store.preimage("a")
    with pytest.raises(UsageError, match="No key begins with 'ff'"):
        store.preimage("ff")
    with pytest.raises(UsageError, match="A key is 32"):
        store.preimage("../x")


def test_records_are_kept_one_a_run_key_and_a_damaged_one_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.put_record({"run_key": OTHER, "status": "failed"})
    store.put_record({"run_key": OTHER, "status": "ok", "accuracy": 0.1})
    store.put_record({"run_key": KEY, "status": "ok"})
    assert store.records() == [
        {"run_key": KEY, "status": "ok"},
        {"run_key": OTHER, "status": "ok", "accuracy": 0.1},
    ]
    path = store.root / "records" / OTHER[:2] / f"{OTHER}.json"
    path.write_text(path.read_text().replace("0.1", "0.9"))
    assert [record["run_key"] for record in store.records()] == [KEY]
    assert store.record(OTHER) is None
    assert "is damaged" in caplog.text
    assert (store.root / "damaged" / f"records-{OTHER}.json").exists()


def test_a_record_that_json_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put_record({"run_key": KEY, "accuracy": float("nan")})
    assert store.record(KEY) is None


def test_scratch_files_go_when_the_object_is_written(store: Store) -> None:
    (store.scratch(KEY) / "training.safetensors").write_bytes(b"x")
    assert (store.scratch(KEY) / "training.safetensors").exists()
    store.write(KEY, TENSORS, META)
    assert not (store.root / "scratch" / KEY).exists()


# ---------------------------------------------------------------------- the folder


def test_the_default_root_is_the_variables_else_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("BENCH_STORE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("BENCH_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_root().name == "edge-defense-bench"


def test_a_root_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc/nowhere")):
        with pytest.raises(UsageError, match="--store or BENCH_STORE"):
            Store(root)
    with pytest.raises(UsageError, match="There is no store"):
        Store(tmp_path / "absent", writable=False)


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "format").write_text("2\n")
    with pytest.raises(UsageError, match="has format '2'; this version reads '1'"):
        Store(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path):
    """Return a folder on a disk of 1 MiB, and how to mount it again read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.faults
def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_no_half_file(small_disk: Path) -> None:
    store = Store(small_disk)
    store.write(KEY, TENSORS, META)
    with pytest.raises(StoreFull, match=r"No space is left .*bench store gc"):
        store.write(OTHER, {"x": np.zeros(1 << 18)}, {})
    assert not store.has(OTHER)
    assert temporaries(store) == []
    assert store.read(KEY).meta["seconds"] == 1.5
    store.write(THIRD, TENSORS, META)


@pytest.mark.faults
def test_a_read_only_disk_can_be_read_and_refuses_to_be_written(small_disk: Path) -> None:
    store = Store(small_disk)
    store.write(KEY, TENSORS, META)
    store.write(OTHER, TENSORS, META)
    path_of(store, OTHER).write_bytes(b"short")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for action in (
        lambda: Store(small_disk),
        lambda: store.write(THIRD, TENSORS, META),
        lambda: store.put_record({"run_key": THIRD}),
        lambda: store.claim(THIRD),
        lambda: store.scratch(THIRD),
    ):
        with pytest.raises(UsageError, match="--store or BENCH_STORE"):
            action()
    reader = Store(small_disk, writable=False)
    assert reader.read(KEY).meta["seconds"] == 1.5
    with pytest.raises(DamagedObject, match="could not be moved aside"):
        reader.read(OTHER)


def test_no_space_in_the_middle_of_a_write_leaves_no_half_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, content: bytes, *, durable: bool) -> None:
        path.write_bytes(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    store.write(KEY, TENSORS, META)
    monkeypatch.setattr(files, "_write", half)
    for action in (
        lambda: store.write(KEY, {"x": np.ones(9)}, {}),
        lambda: store.put_record({"run_key": KEY}),
        lambda: store.remember(KEY, {}),
        lambda: store.fail(OTHER, "failed", "x"),
    ):
        with pytest.raises(StoreFull, match="No space is left"):
            action()
    assert temporaries(store) == []
    assert store.read(KEY).meta["seconds"] == 1.5
    assert store.records() == []


# ---------------------------------------------------------------------- space


def test_space_is_counted_by_room(store: Store) -> None:
    store.write(KEY, TENSORS, META)
    store.put_record({"run_key": OTHER})
    used = store.du()
    assert used.rooms["objects"] == (1, path_of(store).stat().st_size)
    assert used.rooms["records"][0] == 1
    assert used.total_bytes > path_of(store).stat().st_size


def test_collecting_keeps_what_a_record_leads_to_and_removes_the_rest(store: Store) -> None:
    needed, behind, loose = "1" * 32, "2" * 32, "3" * 32
    for key in (needed, behind, loose):
        store.write(key, TENSORS, META)
    store.remember(needed, {"needs": [behind]})
    store.remember(loose, {"needs": [needed]})
    store.put_record({"run_key": KEY, "parts": [needed]})
    (path_of(store, needed).parent / f"{needed}.safetensors.1-x.tmp").write_bytes(b"half")
    (store.scratch(loose) / "checkpoint").write_bytes(b"12345")

    assert store.gc(grace_s=3600.0).paths == ()
    planned = store.gc(grace_s=0.0)
    assert store.has(loose)
    done = store.gc(dry_run=False, grace_s=0.0)
    assert done == planned
    assert {p.name for p in done.paths} == {
        f"{loose}.safetensors",
        f"{loose}.json",
        f"{needed}.safetensors.1-x.tmp",
        loose,
    }
    assert done.bytes > path_of(store, needed).stat().st_size
    assert (store.has(needed), store.has(behind), store.has(loose)) == (True, True, False)
    assert temporaries(store) == []


def test_while_a_run_is_in_progress_nothing_is_collected(store: Store) -> None:
    """What it has made stands in no record before its end, which may be more than a day away."""
    store.write(KEY, TENSORS, META)
    with store.claim(OTHER), pytest.raises(UsageError, match=r"A run is using the store .* when it has ended"):
        store.gc(grace_s=0.0)
    assert [p.name for p in store.gc(grace_s=0.0).paths] == [f"{KEY}.safetensors"]
