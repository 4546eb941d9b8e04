# SPDX-License-Identifier: Apache-2.0
"""The ament_python package depthlab_ros: the network (depthlab_core) and its ROS 2 nodes."""

from glob import glob

from setuptools import find_packages, setup

package_name = "depthlab_ros"

setup(
    name=package_name,
    version="0.1.0",
    description="Panoptic segmentation with metric depth from one camera, as a ROS 2 node.",
    license="Apache-2.0",
    maintainer="Panoptic-DepthLab maintainers",
    maintainer_email="maintainers@depthlab.invalid",
    # training/ runs from the checkout, so that its general name never reaches site-packages.
    packages=find_packages(
        include=["depthlab_core", "depthlab_core.*", "depthlab_ros", "depthlab_ros.*"]
    ),
    package_data={
        "depthlab_core": ["py.typed", "weights/*"],
        "depthlab_ros": ["py.typed", "sample_drive/*"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/launch", glob("launch/*.launch.py")),
        (f"share/{package_name}/config", glob("config/*")),
        (f"share/{package_name}/rviz", glob("rviz/*.rviz")),
    ],
    python_requires=">=3.10",
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "camera_player = depthlab_ros.player:main",
            "depthlab_node = depthlab_ros.node:main",
        ],
    },
)
