# SPDX-License-Identifier: Apache-2.0
"""Post-processing for CPUs: numba kernels that answer what the plain torch form answers, faster.

``depthlab_core.interpret`` is the plain form; ``interpret_on_cpu`` here takes the same arguments.
No kernel calls one of another module: numba renews a function's cache only when the function's own
file has changed.
"""
