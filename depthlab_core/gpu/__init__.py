# SPDX-License-Identifier: Apache-2.0
"""Post-processing for GPUs: what the plain torch form answers, without waiting for the device.

Every tensor's shape follows from the image's size and the room that is kept for centres, so the
host can queue all of it at once and waits a single time, for one copy of the whole answer. Nothing
here may need a number that is on the device: no ``item``, ``nonzero``, ``unique``, ``bincount`` or
boolean mask as an index.

``depthlab_core.interpret`` is the plain form. It all runs on a CPU as well, which is how it is
tested, only slower than ``depthlab_core.cpu``.
"""
