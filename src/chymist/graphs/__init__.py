"""Graphs with lengths: exact transport, curvatures of edges, Ricci flow, communities."""

from chymist.graphs.communities import (
    Cuts,
    adjusted_rand,
    edge_auc,
    groups_below,
    modularity,
    modularity_cuts,
    mutual_information,
    spectral_groups,
)
from chymist.graphs.curvature import Curvature, lin_lu_yau, neighbour_mass, ollivier
from chymist.graphs.flow import Flow, ricci_flow, without_longer
from chymist.graphs.forman import augmented_forman, balanced_forman, forman, triangles
from chymist.graphs.graph import Graph
from chymist.graphs.paths import path_lengths
from chymist.graphs.transport import Transport, transport_w1

__all__ = [
    "Curvature",
    "Cuts",
    "Flow",
    "Graph",
    "Transport",
    "adjusted_rand",
    "augmented_forman",
    "balanced_forman",
    "edge_auc",
    "forman",
    "groups_below",
    "lin_lu_yau",
    "modularity",
    "modularity_cuts",
    "mutual_information",
    "neighbour_mass",
    "ollivier",
    "path_lengths",
    "ricci_flow",
    "spectral_groups",
    "transport_w1",
    "triangles",
    "without_longer",
]
