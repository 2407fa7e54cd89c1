import time

import networkx as nx
import numpy as np
import pytest

from chymist.data import graph, graph_files
from chymist.errors import BadInput


def write(folder, text, name="net.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def edges_of(data):
    names = data.name.values
    return {frozenset(pair) for pair in names[data.ends.values].tolist()}


TRIANGLE = {frozenset("ab"), frozenset("bc"), frozenset("ca")}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a,b\nb,c\nc,a\n", "net.csv"),
        ("source,target\na,b\nb,c\nc,a\n", "net.csv"),
        ("\ufeffFrom;To\r\na;b\r\nb;c\r\nc;a\r\n", "net.csv"),
        ("# a comment\n% another\na\tb\nb\tc\n\nc\ta", "net.tsv"),
        ("a b\nb  c\nc a\n", "net.edges"),
        ('"a","b"\n"b","c"\n"c","a"\n', "net.csv"),
    ],
)
def test_edge_lists(tmp_path, text, name):
    data = graph(write(tmp_path, text, name))
    assert edges_of(data) == TRIANGLE
    assert data.length.values.tolist() == [1, 1, 1]
    assert data.attrs["notes"] == ""
    assert all({"long_name", "units"} <= set(data[v].attrs) for v in data)


def test_lengths_and_similarities(tmp_path):
    far = graph(write(tmp_path, "source,target,length\na,b,1\nb,c,2\nc,a,3\n"))
    assert far.length.values.tolist() == [0.5, 1.0, 1.5]
    near = graph(write(tmp_path, "source,target,similarity\na,b,1\nb,c,2\nc,a,4\n"))
    np.testing.assert_allclose(near.length, np.array([1, 0.5, 0.25]) * 3 / 1.75)


def test_loops_and_double_edges_are_noted(tmp_path):
    text = "source,target,length\na,b,2\nb,a,1\na,a,5\nb,c,1\nc,a,1\n"
    data = graph(write(tmp_path, text))
    assert edges_of(data) == TRIANGLE
    assert data.length.values.tolist() == [1, 1, 1]
    assert data.attrs["notes"] == "1 loops left out; 1 edges merged, the shortest kept"


@pytest.mark.parametrize("kind", ["graphml", "gexf", "gml"])
@pytest.mark.parametrize("directed", [False, True])
def test_what_networkx_writes(tmp_path, kind, directed):
    club = nx.karate_club_graph()
    g = nx.DiGraph() if directed else nx.Graph()
    for node in club:
        g.add_node(f"m{node}", club=club.nodes[node]["club"])
    for a, b in club.edges:
        g.add_edge(f"m{a}", f"m{b}", length=1.0 + a)
    path = tmp_path / f"club.{kind}"
    getattr(nx, f"write_{kind}")(g, path)
    data = graph(path)
    assert data.sizes["edge"] == 78
    assert data.sizes["node"] == 34
    assert sorted(np.bincount(data.community.values).tolist()) == [17, 17]
    length = data.length.values / data.length.values.min()
    np.testing.assert_allclose(sorted(length), sorted(1.0 + a for a, _ in club.edges))
    assert ("direction dropped" in data.attrs["notes"]) == directed


def test_gml_as_it_is_found_in_the_wild(tmp_path):
    text = 'Creator "someone"\ngraph\n[\n  directed 0\n'
    for i, value in enumerate([0, 0, 0, 1, 1, 1]):
        text += f'  node\n  [\n    id {i}\n    label "Team {i} [x]"\n    value {value}\n  ]\n'
    for a, b in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (2, 3)]:
        text += f"  edge\n  [\n    source {a}\n    target {b}\n  ]\n"
    data = graph(write(tmp_path, text + "]\n", "net.gml"))
    assert data.sizes["edge"] == 6
    assert data.community.values.tolist() == [0, 0, 0, 1, 1, 1]


def test_labels_that_name_every_node_are_no_communities(tmp_path):
    g = nx.path_graph(6)
    nx.set_node_attributes(g, {i: f"name {i}" for i in g}, "label")
    nx.write_graphml(g, tmp_path / "path.graphml")
    assert "community" not in graph(tmp_path / "path.graphml")


XML = '<?xml version="1.0"?>'
BOMB = (
    XML + "<!DOCTYPE graphml ["
    + "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "x"}">' for i in range(12))
    + "]><graphml><graph><node id='&e11;'/></graph></graphml>"
)  # fmt: skip
EXTERNAL = (
    XML + '<!DOCTYPE graphml [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    "<graphml><graph><node id='a'/><data>&e;</data></graph></graphml>"
)  # fmt: skip
DEEP = XML + "<graphml>" + "<a>" * 100 + "</a>" * 100 + "</graphml>"


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("", "n.csv", "is empty"),
        ("# nothing\n", "n.csv", "has 0 edges"),
        ("a,b\nb,c\n", "n.csv", "has 2 edges"),
        ("a,b,c,d\n", "n.csv", "row 1 has 4 columns"),
        ("a,b\nb\n", "n.csv", "row 2 is not 2 columns"),
        ("a,b\nb,\n", "n.csv", "row 2 is not 2 columns"),
        ("a,b,1\nb,c,2\n", "n.csv", "third column without a name may mean"),
        ("source,target,weight\na,b,1\n", "n.csv", "third column 'weight' may mean"),
        ("source,target,length\na,b,0\n", "n.csv", "line 2: length 0 cannot be used"),
        ("source,target,length\na,b,-1\n", "n.csv", "line 2: length -1 cannot be used"),
        ("source,target,length\na,b,nan\n", "n.csv", "line 2: length nan cannot be used"),
        ("source,target,similarity\na,b,inf\n", "n.csv", "similarity inf cannot be used"),
        ("source,target,length\na,b,far\n", "n.csv", "line 2: 'far' is not a number"),
        ("0.5,1.25\n0.6,1.5\n", "n.csv", "0.5 is a measured number"),
        (f"a,{'b' * 201}\n", "n.csv", "cannot be a node's name"),
        ("a,b\x07\n", "n.csv", "cannot be a node's name"),
        (b"a,\xff\n", "n.csv", "is not UTF-8 text"),
        (BOMB, "n.graphml", "line 1 declares a document type"),
        (EXTERNAL, "n.graphml", "declares a document type"),
        (BOMB.replace("graphml", "gexf"), "n.gexf", "declares a document type"),
        (DEEP, "n.graphml", "elements inside one another"),
        (XML + "<html/>", "n.graphml", "is not graphml: it begins with <html>"),
        (XML + "<graphml><graph>", "n.graphml", "line 1: no element found"),
        (XML + "<graphml><graph><edge source='a'/></graph></graphml>", "n.graphml",
         "an edge without source or target"),
        (XML + "<graphml>&nosuch;</graphml>", "n.graphml", "undefined entity"),
        ("graph [ node [ id 1 ] ", "n.gml", "is not GML"),
        ("graph ] ", "n.gml", "line 1 is not GML"),
        ("graph [ edge [ source 1 ] ]", "n.gml", "an edge without source or target"),
        ("a [ " * 100, "n.gml", "is not GML"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, text, name, says):
    begun = time.perf_counter()
    with pytest.raises(BadInput) as refusal:
        graph(write(tmp_path, text, name))
    assert says in str(refusal.value)
    assert refusal.value.hint
    assert len(str(refusal.value)) < 300
    assert "\n" not in str(refusal.value)
    assert time.perf_counter() - begun < 2


def test_a_weight_in_xml_must_say_what_it_is(tmp_path):
    g = nx.cycle_graph(4)
    nx.set_edge_attributes(g, 2.0, "weight")
    nx.write_graphml(g, tmp_path / "w.graphml")
    with pytest.raises(BadInput, match="may mean a length or a similarity"):
        graph(tmp_path / "w.graphml")


@pytest.mark.parametrize("kind", ["csv", "graphml", "gml"])
def test_sizes_are_bounded(tmp_path, monkeypatch, kind):
    text = {
        "csv": "\n".join(f"{i},{i + 1}" for i in range(50)),
        "graphml": XML + "<graphml><graph>"
        + "".join(f"<edge source='{i}' target='{i + 1}'/>" for i in range(50))
        + "</graph></graphml>",
        "gml": "graph [" + "".join(f"edge [ source {i} target {i + 1} ] " for i in range(50)) + "]",
    }[kind]  # fmt: skip
    path = write(tmp_path, text, f"n.{kind}")
    assert graph(path).sizes["edge"] == 50
    monkeypatch.setattr(graph_files, "MOST", 40)
    with pytest.raises(BadInput, match="more than 40 edges or nodes"):
        graph(path)
    monkeypatch.setattr(graph_files, "LARGEST", 100)
    with pytest.raises(BadInput, match="at most 100 are read"):
        graph(path)


def test_two_hubs_side_by_side_are_refused(tmp_path, monkeypatch):
    text = "x,y\n" + "".join(f"x,a{i}\ny,b{i}\n" for i in range(30))
    path = write(tmp_path, text)
    assert graph(path).sizes["edge"] == 61
    monkeypatch.setattr(graph_files, "WIDEST", 1000)
    with pytest.raises(BadInput, match="x and y have 1024 pairs of neighbours"):
        graph(path)


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_read_or_refused(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for kind in ("graphml", "gexf", "gml"):
        path = tmp_path / f"club.{kind}"
        getattr(nx, f"write_{kind}")(nx.cycle_graph(9), path)
        whole = bytearray(path.read_bytes())
        for _ in range(40):
            harmed = bytearray(whole)
            for place in rng.integers(0, len(whole), 3).tolist():
                harmed[place] = int(rng.integers(0, 256))
            try:
                data = graph(write(tmp_path, bytes(harmed[: int(rng.integers(1, len(whole)))]),
                                   f"harmed.{kind}"))  # fmt: skip
            except BadInput as error:
                assert len(str(error)) < 300
            else:
                assert data.sizes["edge"] >= 3
