"""Data that studies share, and readers of what a user brings."""

from chymist.data.digits import digits8, digits_parity, one_hot, standardised
from chymist.data.domains import Domain, box, holed_square, ring, stratified
from chymist.data.equations import (
    EQUATIONS,
    Equation,
    equation,
    equation_points,
    equation_samples,
)
from chymist.data.fields import field, spacing
from chymist.data.given_checkpoint import checkpoint, made_checkpoint
from chymist.data.given_network import made_network, network_pair, network_weights
from chymist.data.graph_files import GRAPH_FILES, graph
from chymist.data.graphs import (
    NAMED_GRAPHS,
    dumbbell,
    karate_club,
    named_graph,
    planted_partition,
    random_graph,
    rewired,
)
from chymist.data.images import (
    area_average,
    flat_spectrum,
    grey,
    load_image,
    picture,
    pictures,
    pixel_grid,
    power_law_noise,
    split_pixels,
    zone_plate,
)
from chymist.data.integer_complexity import (
    ComplexityTable,
    complexity_table,
    dense_complexity,
)
from chymist.data.numbers import whole_numbers, whole_ranges
from chymist.data.polynomials import chebyshev
from chymist.data.prime_numbers import are_prime, divisors, primes
from chymist.data.readers import picture_or_sound, table_or_checkpoint
from chymist.data.recall import associative_recall, one_hot_tokens
from chymist.data.right_sides import source_or_matrix
from chymist.data.signals import signal
from chymist.data.sounds import flat_sound, sound, strong_octaves
from chymist.data.spheres import sphere
from chymist.data.tables import (
    made_function,
    made_target,
    one_target,
    sampled_function,
    table,
)
from chymist.data.texts import (
    Letters,
    english,
    joined_texts,
    letters,
    text,
    untagged,
    written,
    zipf_text,
)

__all__ = [
    "Domain",
    "EQUATIONS",
    "Equation",
    "box",
    "equation",
    "equation_points",
    "equation_samples",
    "field",
    "spacing",
    "holed_square",
    "ring",
    "stratified",
    "Letters",
    "english",
    "letters",
    "text",
    "joined_texts",
    "untagged",
    "written",
    "zipf_text",
    "GRAPH_FILES",
    "NAMED_GRAPHS",
    "area_average",
    "dumbbell",
    "ComplexityTable",
    "are_prime",
    "complexity_table",
    "dense_complexity",
    "digits_parity",
    "divisors",
    "chebyshev",
    "checkpoint",
    "digits8",
    "associative_recall",
    "flat_sound",
    "flat_spectrum",
    "graph",
    "grey",
    "karate_club",
    "load_image",
    "made_checkpoint",
    "made_function",
    "made_network",
    "made_target",
    "named_graph",
    "network_pair",
    "network_weights",
    "one_hot",
    "one_hot_tokens",
    "one_target",
    "picture",
    "picture_or_sound",
    "pictures",
    "pixel_grid",
    "planted_partition",
    "power_law_noise",
    "random_graph",
    "rewired",
    "primes",
    "sampled_function",
    "signal",
    "sound",
    "sphere",
    "source_or_matrix",
    "split_pixels",
    "standardised",
    "strong_octaves",
    "whole_numbers",
    "whole_ranges",
    "table",
    "table_or_checkpoint",
    "zone_plate",
]
