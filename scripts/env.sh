# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by bash, from anywhere: the environment in which this checkout's code runs.
#   .venv first on PATH, ROS 2 (a sourced installation, or the wheels in .venv), the built messages, and
#   this checkout first on PYTHONPATH, so that an edited file is what runs.

depthlab_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
depthlab_venv=$depthlab_root/.venv
if [ ! -x "$depthlab_venv/bin/python" ] || [ ! -f "$depthlab_root/install/local_setup.bash" ]; then
  echo "error: this checkout is not set up; run: make setup" >&2
  return 1
fi

# ROS's and colcon's own scripts read variables that may be unset.
depthlab_options=$-
set +eu
if [ -n "${ROS_DISTRO:-}" ]; then
  # Container images set ROS_DISTRO without sourcing the rest.
  if [ -z "${AMENT_PREFIX_PATH:-}" ] && [ -f "/opt/ros/$ROS_DISTRO/setup.bash" ]; then
    # shellcheck disable=SC1090
    . "/opt/ros/$ROS_DISTRO/setup.bash"
  fi
else
  export AMENT_PREFIX_PATH=$depthlab_venv CMAKE_PREFIX_PATH=$depthlab_venv
  # What the wheels otherwise set by running Python a second time, and get wrong after another venv.
  for depthlab_libraries in "$depthlab_venv/lib" "$depthlab_venv"/lib/python3*/site-packages/ros_*.libs; do
    case ":${LD_LIBRARY_PATH:-}:" in
      *":$depthlab_libraries:"*) ;;
      *) [ -d "$depthlab_libraries" ] &&
        LD_LIBRARY_PATH=$depthlab_libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
    esac
  done
  export LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
fi
case ":$PATH:" in
  "$depthlab_venv/bin:"*) ;;
  *) export PATH=$depthlab_venv/bin:$PATH ;;
esac
export VIRTUAL_ENV=$depthlab_venv
# shellcheck disable=SC1091
. "$depthlab_root/install/local_setup.bash"
export PYTHONPATH=$depthlab_root${PYTHONPATH:+:$PYTHONPATH}
case $depthlab_options in *e*) set -e ;; esac
case $depthlab_options in *u*) set -u ;; esac
unset depthlab_root depthlab_venv depthlab_options depthlab_libraries
