# SPDX-License-Identifier: Apache-2.0
"""Post-processing for CPUs: numba kernels that answer what the plain torch form answers, faster.

``depthlab_core.interpret`` is the plain form; ``interpret_on_cpu`` here takes the same arguments.
No kernel calls one of another module, bar those of ``compiled``: numba renews a function's cache
only when the function's own file has changed. After a change of a kernel in ``compiled``, remove
all caches (``make clean``).
"""
