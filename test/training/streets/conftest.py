# SPDX-License-Identifier: Apache-2.0
import pytest

from training.streets.generator import StreetGenerator
from training.streets.gpu import RendererError

SIZE = (192, 96)


def make_generator(split="train", seed=0):
    try:
        return StreetGenerator(split, seed=seed, width=SIZE[0], height=SIZE[1])
    except RendererError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def generator_of():
    return make_generator


@pytest.fixture(scope="session")
def generator():
    return make_generator()


@pytest.fixture(scope="session")
def frames(generator):
    return [generator.frame(index) for index in range(5)]


@pytest.fixture(scope="session")
def drive(generator):
    # One with vehicles near: of small figures that walk, few pixels keep their place.
    return list(generator.sequence(1, 4))
