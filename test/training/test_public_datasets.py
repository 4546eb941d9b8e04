# SPDX-License-Identifier: Apache-2.0
"""Cityscapes-DVPS, KITTI and Virtual KITTI 2 from tiny files in their own layouts."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from training.config import DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.cityscapes_dvps import CityscapesDvps
from training.datasets.kitti_2015 import Kitti2015
from training.datasets.kitti_depth import KittiDepth
from training.datasets.sample import DatasetError, read_labels
from training.datasets.virtual_kitti import VirtualKitti

RGB = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
P2 = [721.5, 0, 609.5, 44.857, 0, 721.5, 172.8, 0.216, 0, 0, 1, 0.00274]
P3 = [721.5, 0, 609.5, -339.5, 0, 721.5, 172.8, 2.2, 0, 0, 1, 0.00274]


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


def write_calibration(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.950000e-02"]
    for name, values in (("P_rect_02", P2), ("P_rect_03", P3)):
        lines.append(f"{name}: " + " ".join(f"{value:e}" for value in values))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def dvps_root(tmp_path):
    folder = tmp_path / "video_sequence" / "val"
    stem = "000000_000000_munster_000168_000004"
    write(folder / f"{stem}_leftImg8bit.png", RGB[..., ::-1])
    labels = np.full((4, 6), 13_002, np.uint16)
    labels[0], labels[1], labels[2, 0] = 0, 32_000, 13_000
    Image.fromarray(labels).save(folder / f"{stem}_gtFine_instanceTrainIds.png")
    depth = np.full((4, 6), 10 * 256 + 128, np.uint16)
    depth[0, 0] = 0
    write(folder / f"{stem}_depth.png", depth)
    return tmp_path


@pytest.fixture
def kitti_2015_root(tmp_path):
    folder = tmp_path / "training"
    for number in range(6):
        write(folder / "image_2" / f"{number:06d}_10.png", RGB[..., ::-1])
        write(folder / "image_2" / f"{number:06d}_11.png", RGB[..., ::-1])
        disparity = np.full((4, 6), 10 * 256, np.uint16)
        disparity[0, 0] = 0
        write(folder / "disp_occ_0" / f"{number:06d}_10.png", disparity)
        instance = np.full((4, 6), 26 * 256 + 3, np.uint16)
        instance[0], instance[1], instance[2, 0] = 7 * 256, 4 * 256, 26 * 256
        write(folder / "instance" / f"{number:06d}_10.png", instance)
        write_calibration(folder / "calib_cam_to_cam" / f"{number:06d}.txt")
    return tmp_path


@pytest.fixture
def kitti_depth_root(tmp_path):
    drive = "2011_09_26_drive_0001_sync"
    for camera in ("image_02", "image_03"):
        depth = np.zeros((4, 6), np.uint16)
        depth[2, 3] = 20 * 256
        folder = tmp_path / "train" / drive / "proj_depth" / "groundtruth" / camera
        write(folder / "0000000005.png", depth)
        write(tmp_path / "2011_09_26" / drive / camera / "data/0000000005.png", RGB[..., ::-1])
    write_calibration(tmp_path / "2011_09_26" / "calib_cam_to_cam.txt")
    return tmp_path


@pytest.fixture
def virtual_kitti_root(tmp_path):
    for scene in ("Scene01", "Scene02"):
        drive = tmp_path / scene / "15-deg-left"
        frames = drive / "frames"
        write(frames / "rgb/Camera_1/rgb_00007.jpg", RGB[..., ::-1])
        depth = np.full((4, 6), 1234, np.uint16)
        depth[0] = 65535
        write(frames / "depth/Camera_1/depth_00007.png", depth)
        color = np.full((4, 6, 3), (100, 60, 100), np.uint8)
        color[0], color[1], color[2], color[3, 0] = (
            (90, 200, 255),
            (255, 127, 80),
            (0, 139, 139),
            (80, 80, 80),
        )
        write(frames / "classSegmentation/Camera_1/classgt_00007.png", color[..., ::-1])
        track = np.zeros((4, 6), np.uint8)
        track[1], track[2] = 1, 5
        indexed = Image.fromarray(track).convert("P")
        indexed.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
        path = frames / "instanceSegmentation/Camera_1/instancegt_00007.png"
        path.parent.mkdir(parents=True)
        indexed.save(path)
        (drive / "intrinsic.txt").write_text(
            "frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n"
            "7 0 700.0 700.0 620.5 187.0\n7 1 725.0087 725.0087 620.5 187.0\n"
        )
    return tmp_path


def test_cityscapes_dvps(dvps_root):
    sample = CityscapesDvps(dvps_root, "val")[0]
    np.testing.assert_array_equal(sample.image, RGB)
    assert (sample.panoptic[0] == 0).all()
    assert (sample.panoptic[1] == -1).all()
    # No crowd: the data set counts instances from 0.
    assert sample.panoptic[2, 0] == 13_001
    assert sample.panoptic[3, 5] == 13_003
    assert sample.panoptic.dtype == np.int32
    assert sample.depth[0, 0] == 0
    assert sample.depth[3, 3] == 10.5
    assert sample.focal_length == pytest.approx(2262.52 * 6 / 2048)


def test_kitti_2015(kitti_2015_root):
    assert [len(Kitti2015(kitti_2015_root, split)) for split in ("train", "val")] == [4, 2]
    assert len(Kitti2015(kitti_2015_root, "training")) == 6
    sample = Kitti2015(kitti_2015_root, "val")[1]
    assert sample.name == "000005_10"
    np.testing.assert_array_equal(sample.image, RGB)
    assert (sample.panoptic[0] == 0).all()
    assert (sample.panoptic[1] == -1).all()
    assert sample.panoptic[2, 0] == 13_000
    assert (sample.panoptic[3] == 13_003).all()
    assert sample.depth[0, 0] == 0
    assert sample.depth[1, 1] == pytest.approx((44.857 + 339.5) / 10, rel=1e-5)
    assert sample.focal_length == 721.5
    with pytest.raises(DatasetError, match="split 'test'"):
        Kitti2015(kitti_2015_root, "test")


def test_kitti_depth(kitti_depth_root):
    dataset = KittiDepth(kitti_depth_root, "train")
    assert len(dataset) == 2
    sample = dataset[1]
    assert sample.name == "2011_09_26_drive_0001_sync_image_03_0000000005"
    assert sample.depth[2, 3] == 20
    assert (sample.depth > 0).sum() == 1
    assert sample.has_sparse_depth
    assert sample.panoptic is None
    assert sample.focal_length == 721.5


def test_virtual_kitti(virtual_kitti_root):
    assert len(VirtualKitti(virtual_kitti_root, "train")) == 1
    sample = VirtualKitti(virtual_kitti_root, "val")[0]
    assert sample.name == "Scene02_15-deg-left_Camera_1_00007"
    assert (sample.panoptic[0] == 10_000).all()
    assert (sample.panoptic[1] == 13_001).all()
    assert (sample.panoptic[2] == 13_005).all()
    assert sample.panoptic[3, 0] == -1
    assert (sample.panoptic[3, 1:] == 0).all()
    assert (sample.depth[0] == 0).all()
    assert sample.depth[1, 1] == pytest.approx(12.34)
    assert sample.focal_length == pytest.approx(725.0087)
    with pytest.raises(DatasetError, match="split 'test'"):
        VirtualKitti(virtual_kitti_root, "test")


CASES = [
    ("cityscapes_dvps", "dvps_root", "*_leftImg8bit.png"),
    ("cityscapes_dvps", "dvps_root", "*_depth.png"),
    ("cityscapes_dvps", "dvps_root", "*_instanceTrainIds.png"),
    ("kitti_2015", "kitti_2015_root", "image_2/*_10.png"),
    ("kitti_2015", "kitti_2015_root", "disp_occ_0/*_10.png"),
    ("kitti_2015", "kitti_2015_root", "instance/*_10.png"),
    ("kitti_2015", "kitti_2015_root", "calib_cam_to_cam/*.txt"),
    ("kitti_depth", "kitti_depth_root", "groundtruth/*/*.png"),
    ("kitti_depth", "kitti_depth_root", "data/*.png"),
    ("kitti_depth", "kitti_depth_root", "calib_cam_to_cam.txt"),
    ("virtual_kitti", "virtual_kitti_root", "rgb_*.jpg"),
    ("virtual_kitti", "virtual_kitti_root", "depth_*.png"),
    ("virtual_kitti", "virtual_kitti_root", "classgt_*.png"),
    ("virtual_kitti", "virtual_kitti_root", "instancegt_*.png"),
    ("virtual_kitti", "virtual_kitti_root", "intrinsic.txt"),
]
SIXTEEN_BITS = re.compile("depth_|_depth|groundtruth|disp_occ_0|instance/")


@pytest.mark.parametrize(("kind", "root", "pattern"), CASES)
def test_a_missing_file_is_named_and_a_damaged_one_too(kind, root, pattern, request):
    folder = request.getfixturevalue(root)
    split = "train" if kind == "kitti_depth" else "val"
    config = DatasetConfig(kind=kind, root=str(folder), split=split)
    assert build_dataset(kind, config)[0].image.shape == (4, 6, 3)
    files = list(folder.rglob(pattern))
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:20] + b"\n3")
    last = pattern.split("/")[-1].replace(".", r"\.").replace("*", ".*")
    with pytest.raises(DatasetError, match=last):
        build_dataset(kind, config)[0]
    for path in files:
        path.unlink()
    with pytest.raises(DatasetError, match=last + ".*Download"):
        build_dataset(kind, config)[0]


@pytest.mark.parametrize("bits", [8, 16])
def test_labels_that_are_damaged_inside_are_refused(tmp_path, bits):
    path = tmp_path / "labels.png"
    labels = np.repeat(np.arange(40), 50).reshape(40, 50).astype(f"uint{bits}") * (bits // 8)
    Image.fromarray(labels).save(path)
    assert (read_labels(path, "labels") == labels).all()
    whole = path.read_bytes()
    for start in range(len(whole) - 20):
        # Of what decoders read past, the names of chunks among them.
        spoilt = whole[:start] + bytes(255 - byte for byte in whole[start : start + 4])
        path.write_bytes(spoilt + whole[start + 4 :])
        with pytest.raises(DatasetError, match=r"labels\.png cannot be read as an image"):
            read_labels(path, "labels")


@pytest.mark.parametrize(
    ("kind", "root", "pattern"), [case for case in CASES if SIXTEEN_BITS.search(case[2])]
)
def test_values_of_eight_bits_are_refused_where_sixteen_are_meant(kind, root, pattern, request):
    folder = request.getfixturevalue(root)
    split = "train" if kind == "kitti_depth" else "val"
    for path in folder.rglob(pattern):
        write(path, (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 256).astype(np.uint8))
    config = DatasetConfig(kind=kind, root=str(folder), split=split)
    with pytest.raises(DatasetError, match=r"\.png is uint8 \(4, 6\), expected uint16"):
        build_dataset(kind, config)[0]


@pytest.mark.parametrize("value", [1, 255, 8_003])
def test_labels_of_dvps_in_another_encoding_are_refused(dvps_root, value):
    path = next(dvps_root.rglob("*_instanceTrainIds.png"))
    labels = np.asarray(Image.open(path)).copy()
    labels[0, 0] = value
    Image.fromarray(labels).save(path)
    with pytest.raises(DatasetError, match=rf"Ids\.png: got {value}, expected trainId \* 1000"):
        CityscapesDvps(dvps_root, "val")[0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 6, 3), np.uint8), r"has shape \(4, 6, 3\), expected one channel"),
        (np.zeros((2, 3), np.uint8), r"got \(2, 3\), expected \(4, 6\) as its classes have"),
    ],
)
def test_instances_of_another_shape_are_refused(virtual_kitti_root, labels, message):
    for path in virtual_kitti_root.rglob("instancegt_*.png"):
        Image.fromarray(labels).save(path)
    with pytest.raises(DatasetError, match=rf"instancegt_00007\.png:? {message}"):
        VirtualKitti(virtual_kitti_root, "val")[0]


@pytest.mark.parametrize("kind", ["cityscapes_dvps", "kitti_2015", "kitti_depth", "virtual_kitti"])
def test_a_missing_folder_comes_with_a_remedy(kind, tmp_path):
    config = DatasetConfig(kind=kind, root=str(tmp_path / "nowhere"), split="val")
    with pytest.raises(DatasetError, match=r"nowhere\S* does not exist\. Download .*https://"):
        build_dataset(kind, config)


def test_labels_that_are_switched_off_need_no_files(kitti_2015_root):
    for path in (kitti_2015_root / "training" / "instance").iterdir():
        path.unlink()
    (kitti_2015_root / "training" / "instance").rmdir()
    config = DatasetConfig(
        kind="kitti_2015", root=str(kitti_2015_root), split="val", panoptic=False
    )
    sample = build_dataset("kitti", config)[0]
    assert sample.panoptic is None
    assert (sample.depth > 0).any()
