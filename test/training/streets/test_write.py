# SPDX-License-Identifier: Apache-2.0
"""Files on disk follow Cityscapes' conventions and lose nothing."""

import json

import cv2
import numpy as np
import pytest

from training.streets.classes import LABEL_IDS, is_thing
from training.streets.generator import StreetGenerator
from training.streets.mounting import Placement
from training.streets.render import main
from training.streets.write import CityscapesWriter

IGNORED_BY_CITYSCAPES = {4}


@pytest.fixture(scope="module")
def written(tmp_path_factory, frames):
    root = tmp_path_factory.mktemp("streets")
    writer = CityscapesWriter(root, "train")
    writer.finish([writer.write(frame) for frame in frames[:2]])
    return root


def read(root, kind, name, ending):
    image = cv2.imread(str(root / kind / "train/train" / f"{name}_{ending}"), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_images_and_train_ids_come_back_unchanged(written, frames):
    for frame in frames[:2]:
        image = read(written, "leftImg8bit", frame.name, "leftImg8bit.png")
        np.testing.assert_array_equal(image[..., ::-1], frame.image)
        train_ids = read(written, "gtFine", frame.name, "gtFine_labelTrainIds.png")
        np.testing.assert_array_equal(train_ids, frame.semantic)


def test_label_and_instance_ids_are_those_of_cityscapes(written, frames):
    frame = frames[0]
    labels = read(written, "gtFine", frame.name, "gtFine_labelIds.png")
    instances = read(written, "gtFine", frame.name, "gtFine_instanceIds.png")
    assert instances.dtype == np.uint16
    for semantic, label in LABEL_IDS.items():
        np.testing.assert_array_equal(labels == label, frame.semantic == semantic)
    assert set(np.unique(labels[frame.semantic == 255])) <= IGNORED_BY_CITYSCAPES
    things = is_thing(frame.semantic) & (frame.panoptic % 1000 > 0)
    np.testing.assert_array_equal(instances[~things], labels[~things])
    np.testing.assert_array_equal(instances[things] // 1000, labels[things])
    np.testing.assert_array_equal(instances[things] % 1000, frame.panoptic[things] % 1000)


def test_panoptic_png_and_json_agree(written, frames):
    index = json.loads((written / "gtFine/cityscapes_panoptic_train.json").read_text())
    assert [entry["image_id"] for entry in index["annotations"]] == [f.name for f in frames[:2]]
    assert {c["id"] for c in index["categories"]} == set(LABEL_IDS.values())
    for entry, frame in zip(index["annotations"], frames, strict=False):
        path = written / "gtFine/cityscapes_panoptic_train" / entry["file_name"]
        rgb = cv2.imread(str(path))[..., ::-1].astype(int)
        ids = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        np.testing.assert_array_equal(ids == 0, frame.panoptic < 0)
        assert {s["id"] for s in entry["segments_info"]} == set(np.unique(ids)) - {0}
        for segment in entry["segments_info"]:
            mask = ids == segment["id"]
            assert segment["area"] == mask.sum()
            x, y, width, height = segment["bbox"]
            assert mask[y : y + height, x : x + width].sum() == segment["area"]
            train_id = frame.semantic[mask]
            assert (train_id == train_id[0]).all()
            assert LABEL_IDS[train_id[0]] == segment["category_id"]
            is_crowd = is_thing(train_id[:1])[0] and segment["id"] < 1000
            assert segment["iscrowd"] == int(is_crowd)
            assert (frame.panoptic[mask] % 1000 == 0).all() == (segment["id"] < 1000)


def test_depth_disparity_and_camera_describe_the_same_scene(written, frames):
    frame = frames[0]
    depth = read(written, "depth", frame.name, "depth.png").astype(float) / 256
    stored = depth > 0
    np.testing.assert_allclose(depth[stored], frame.depth[stored], atol=1 / 256)
    assert (frame.depth[~stored & (frame.depth > 0)] > 250).all()
    camera = json.loads((written / "camera/train/train" / f"{frame.name}_camera.json").read_text())
    assert camera["intrinsic"]["fx"] == pytest.approx(frame.focal_length)
    raw = read(written, "disparity", frame.name, "disparity.png").astype(float)
    measured = raw > 1
    assert 0.2 < measured[frame.depth > 0].mean() < 1.0
    span = camera["intrinsic"]["fx"] * camera["extrinsic"]["baseline"]
    again = span / ((raw[measured] - 1) / 256)
    near = frame.depth[measured] < 20
    np.testing.assert_allclose(again[near], frame.depth[measured][near], rtol=0.03)


def test_command_line_writes_what_the_generator_draws(tmp_path, generator, frames):
    size = f"{frames[0].image.shape[1]}x{frames[0].image.shape[0]}"
    arguments = ["--out", str(tmp_path), "--frames", "1", "--start", "4", "--size", size]
    assert main(arguments) == 0
    image = read(tmp_path, "leftImg8bit", frames[4].name, "leftImg8bit.png")
    np.testing.assert_array_equal(image[..., ::-1], frames[4].image)


def test_command_line_writes_drives(tmp_path, drive):
    size = f"{drive[0].image.shape[1]}x{drive[0].image.shape[0]}"
    # All but the first frame of drive 1.
    arguments = ["--out", str(tmp_path), "--frames", "3", "--drive-length", "4", "--start", "5"]
    assert main([*arguments, "--size", size]) == 0
    folder = tmp_path / "leftImg8bit" / "train" / "traindrive"
    names = [path.name for path in sorted(folder.iterdir())]
    assert names == [f"{frame.name}_leftImg8bit.png" for frame in drive[1:]]
    image = cv2.imread(str(folder / names[-1]))
    np.testing.assert_array_equal(image[..., ::-1], drive[3].image)


def test_command_line_draws_one_kind_of_camera(tmp_path):
    arguments = ["--out", str(tmp_path), "--frames", "1", "--size", "96x64"]
    assert main([*arguments, "--mount", "mast", "--camera-height", "7", "8"]) == 0
    placement = Placement("mast", (7.0, 8.0))
    frame = StreetGenerator("train", width=96, height=64, placement=placement).frame(0)
    assert 7 <= frame.camera_height <= 8
    image = read(tmp_path, "leftImg8bit", frame.name, "leftImg8bit.png")
    np.testing.assert_array_equal(image[..., ::-1], frame.image)


def test_command_line_draws_one_kind_of_place(tmp_path):
    arguments = ["--out", str(tmp_path), "--frames", "1", "--size", "96x64"]
    assert main([*arguments, "--main-street", "highway"]) == 0
    frame = StreetGenerator("train", width=96, height=64, main_street="highway").frame(0)
    image = read(tmp_path, "leftImg8bit", frame.name, "leftImg8bit.png")
    np.testing.assert_array_equal(image[..., ::-1], frame.image)


def test_command_line_finishes_what_it_began_when_time_is_up(tmp_path):
    # The first seven frames are the rest of a town.
    arguments = ["--out", str(tmp_path), "--frames", "40", "--start", "3", "--size", "96x64"]
    assert main([*arguments, "--minutes", "0.0001"]) == 0
    index = json.loads((tmp_path / "gtFine/cityscapes_panoptic_train.json").read_text())
    images = tmp_path / "leftImg8bit" / "train" / "train"
    drawn = sorted(path.name.removesuffix("_leftImg8bit.png") for path in images.iterdir())
    assert drawn == [entry["image_id"] for entry in index["annotations"]]
    assert [int(name[-6:]) for name in drawn] == list(range(3, 10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--camera-height", "3", "2"], "--camera-height: camera height: got"),
        (["--mount", "mast", "--drive-length", "4"], "--mount: got mast, expected car"),
    ],
)
def test_command_line_refuses_cameras_that_cannot_be(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--frames", "1", *options])
    assert message in capsys.readouterr().err


def test_resuming_takes_no_other_seed_or_drive_for_its_own_frames(tmp_path, frames, drive):
    writer = CityscapesWriter(tmp_path, "train")
    writer.finish([writer.write(frame) for frame in (frames[1], drive[2])])
    height, width = frames[1].image.shape[:2]
    assert writer.listed(0) == {1: (width, height)}
    assert writer.listed(1) == {}


def test_resuming_at_another_size_is_refused(written, capsys):
    arguments = ["--out", str(written), "--frames", "3", "--size", "32x16", "--resume"]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert f"error: --size: got 32x16, expected 192x96 as the frames in {written} have" in (
        capsys.readouterr().err
    )


def test_a_damaged_index_is_one_line(tmp_path, capsys):
    index = tmp_path / "gtFine" / "cityscapes_panoptic_train.json"
    index.parent.mkdir()
    index.write_text('{"images": [')
    assert main(["--out", str(tmp_path), "--frames", "1", "--size", "96x64"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {index} is damaged (JSONDecodeError")
    assert line.endswith("delete it to draw its frames anew")
    assert index.read_text() == '{"images": ['
