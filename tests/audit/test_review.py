"""The page of a finished run: what it says, and how it works in a browser."""

import base64
import html.parser
import io
import json
import re
import shutil
import time

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from mlc_tf import audit
from mlc_tf.audit import review
from mlc_tf.audit.review import pictures
from mlc_tf.audit.review import tables
from mlc_tf.configs import digits
from mlc_tf.data import identity
from mlc_tf.data.examples import Arrays
from mlc_tf.data.examples import Stream
from mlc_tf.run import figures
from mlc_tf.run.finished_run import FinishedRun
from mlc_tf.run.problems import Problem

HOSTILE = '<script>alert(1)</script>&"'
# Neither is a formula to be typeset.
NAMES = ("cat", "$dog$^", HOSTILE)
T = np.array([[0.6, 0.4, 0.0], [0.0, 0.8, 0.2], [0.1, 0.0, 0.9]])
METRICS = [
    {
        "epoch": epoch,
        "test_accuracy": 0.5 + epoch / 10,
        "clean_accuracy": 0.625,
        "noisy_accuracy": 0.4,
        "transition_l1": 0.75 / epoch,
    }
    for epoch in (1, 2, 3)
]


class Named(Arrays):
    def name_of(self, index):
        return f'images/{index}, "{HOSTILE}"\n.png'


def finished(workdir, noisy, size, transition=None):
    """A run whose network returns its inputs as logits."""
    inputs = keras.Input(noisy.input_spec.shape)
    network = keras.Model(inputs, keras.layers.Flatten()(inputs))
    result = {
        "dataset": "npz:<pets>",
        "method": "mlc",
        "noise": "pair",
        "ratio": 0.4,
        "seed": 3,
        "epochs": 3,
        "evaluated_on": "test",
        "test_accuracy": 0.8,
    }
    assert network.output_shape == (None, size)
    return FinishedRun(
        workdir, digits.get_config(), result, network, transition
    )


def page_of(workdir, noisy, names, transition=None, most=200, true=None):
    run = finished(workdir, noisy, len(names), transition)
    problem = Problem(noisy, noisy, noisy, names, true_transition=true)
    found = audit.audit_labels(run.network, noisy, transition=transition)
    confused = review.confusion(run.network, noisy)
    return review.page(run, problem, found, confused, most), found


def examples_of(count, shape=(1, 3, 1), kind=Named):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (count, *shape)).astype(np.float32)
    return kind(x, rng.integers(0, np.prod(shape), count))


class Parsed(html.parser.HTMLParser):
    """All elements of a page, and the text of each table's cells."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.cells, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside in ("th", "td"):
            self.cells.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The file of a page of 40 examples, and what the audit found."""
    folder = tmp_path_factory.mktemp("run")
    lines = "".join(json.dumps(row) + "\n" for row in METRICS)
    (folder / "metrics.jsonl").write_text(lines)
    text, found = page_of(folder, examples_of(40), NAMES, T, true=T)
    path = folder / "review.html"
    path.write_text(text)
    return path, review.suspects(found, 200)


@pytest.fixture(scope="module")
def parsed(run):
    return Parsed(run[0].read_text())


def test_the_worst_labels_come_first():
    table = pd.DataFrame(
        {
            "is_label_issue": [True, False, True, True, True],
            "label_quality": [0.3, 0.0, 0.1, 0.3, 0.4],
        }
    )
    found = audit.Audit(table, np.eye(2))
    assert review.suspects(found, 9).index.tolist() == [2, 0, 3, 4]
    assert review.suspects(found, 2).index.tolist() == [2, 0]


def test_confusion_counts_labels_by_rows(tmp_path):
    x = np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 2]]
    labelled = Arrays(x, np.array([0, 0, 0, 1, 2]))
    network = finished(tmp_path, labelled, 3).network
    counts = review.confusion(network, labelled, batch_size=2)
    assert counts.tolist() == [[2, 1, 0], [0, 0, 1], [0, 0, 1]]


def test_names_are_text_and_no_markup(run, parsed):
    path, listed = run
    assert "<script>alert" not in path.read_text()
    scripts = parsed.all("script")
    assert [attrs.get("type") for attrs in scripts] == [
        "application/json",
        None,
    ]
    cards = [attrs for attrs in parsed.all("li") if "data-index" in attrs]
    assert [int(attrs["data-index"]) for attrs in cards] == list(listed.index)
    assert {attrs["data-name"] for attrs in cards} == {
        f'images/{index}, "{HOSTILE}"\n.png' for index in listed.index
    }
    assert parsed.cells.count(HOSTILE) >= 5


def test_the_page_asks_nothing_of_a_network(run, parsed):
    sources = [
        value
        for _, attrs in parsed.elements
        for name, value in attrs.items()
        if name in ("src", "srcset", "href", "action", "data")
    ]
    assert len(sources) > 10
    assert all(value.startswith(("data:image/", "#")) for value in sources)
    assert not parsed.all("link")
    assert "@import" not in run[0].read_text()
    assert "url(" not in run[0].read_text()
    (policy,) = (
        attrs["content"]
        for attrs in parsed.all("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_page_shows_what_the_run_found(run, parsed):
    cells = parsed.cells
    # The learned T and the true one, and the accuracies of three epochs.
    start = cells.index("clean \\ given")
    row = ["cat", "0.60", "0.40", "0.00"]
    assert cells[start + 4 : start + 8] == row
    assert cells.count("clean \\ given") == 2
    epochs = cells.index("epoch")
    assert cells[epochs + 4 : epochs + 8] == ["1", "60.0 %", "62.5 %", "40.0 %"]
    curves, matrix = (attrs["alt"] for attrs in parsed.all("img")[:2])
    assert "3 epochs" in curves and "from 60.0 % to 80.0 %" in curves
    assert "true T to 0.25" in curves
    assert "3 by 3 classes" in matrix and "from 0.60 to 0.90" in matrix
    assert "between their rows is 0.00" in matrix
    text = run[0].read_text()
    assert "npz:&lt;pets&gt;" in text
    assert "With noise pair 0.4, seed 3; 3 epochs." in text


def test_figures_are_drawn_for_light_and_dark(parsed):
    light, dark = (
        base64.b64decode(source.partition("base64,")[2]).decode()
        for source in (
            parsed.all("img")[0]["src"],
            parsed.all("source")[0]["srcset"],
        )
    )
    for text, ground in ((light, pictures.LIGHT), (dark, pictures.DARK)):
        assert "<svg" in text and f"fill: {ground}" in text
    assert "<dc:date>" not in light


def test_the_same_run_gives_the_same_page(run):
    again, _ = page_of(run[0].parent, examples_of(40), NAMES, T, true=T)
    assert again == run[0].read_text()


def test_no_more_than_asked_for_are_listed(tmp_path):
    noisy = examples_of(40)
    text, found = page_of(tmp_path, noisy, NAMES, most=3)
    issues = int(found.label_issues["is_label_issue"].sum())
    assert issues > 3 and text.count('<li class="example"') == 3
    assert f"{issues} <small>of 40" in text and "The first 3," in text


def test_without_t_and_curves_the_page_says_so(tmp_path):
    text, _ = page_of(tmp_path, examples_of(9), NAMES)
    assert "This run has no T" in text and 'id="training"' not in text
    assert "<figure" not in text


def test_labels_that_came_noisy_have_no_ratio(tmp_path):
    noisy = examples_of(9)
    run = finished(tmp_path, noisy, 3)
    run.result.update(noise="none", ratio=None, epochs=1)
    found = audit.audit_labels(run.network, noisy)
    problem = Problem(noisy, noisy, noisy, NAMES, notes=("Mind <this>.",))
    text = review.page(run, problem, found, np.eye(3, dtype=int))
    assert "With labels noisy as they come, seed 3; 1 epoch." in text
    assert "<p>Mind &lt;this&gt;.</p>" in text


def test_without_suspicious_labels_there_is_nothing_to_decide(tmp_path):
    noisy = Arrays(9 * np.eye(3, dtype=np.float32), np.arange(3))
    text, _ = page_of(tmp_path, noisy, NAMES)
    assert "each given label is the most probable" in text
    assert "<script" not in text and "<button" not in text


def test_a_thousand_classes_fit_on_a_page(tmp_path):
    size = 1000
    transition = np.full((size, size), 0.5 / (size - 1))
    np.fill_diagonal(transition, 0.5)
    for clean, given, share in ((7, 9, 0.3), (8, 3, 0.25)):
        transition[clean] = (0.5 - share) / (size - 2)
        transition[clean, [clean, given]] = 0.5, share
    names = tuple(f"class {label}" for label in range(size))
    noisy = examples_of(300, (size,), Arrays)
    text, _ = page_of(tmp_path, noisy, names, transition)
    assert len(text) < 2_000_000
    parsed = Parsed(text)
    assert len(parsed.all("option")) < 3 * 200 + 3
    cells = parsed.cells
    start = cells.index("clean") + 3
    assert cells[start : start + 3] == ["class 7", "class 9", "0.30"]
    assert cells[start + 3 : start + 6] == ["class 8", "class 3", "0.25"]


@pytest.mark.parametrize(
    "texts, shown",
    [
        (None, "1.5, -2, 0.25, 0, 0, 0, 0, 0, 0, 0, 0, 0, … (14 numbers)"),
        (np.array(["a [b] <i>"]), "a [b] &lt;i&gt;"),
    ],
)
def test_inputs_that_are_not_pictures_are_shown_as_text(tmp_path, texts, shown):
    x = np.zeros((1, 14), np.float32)
    x[0, :3] = 1.5, -2, 0.25
    noisy = Arrays(x, np.array([3]), texts=texts)
    text, _ = page_of(tmp_path, noisy, tuple("abcdefghijklmn"))
    assert f'<p class="text">{shown}</p>' in text and "<img" not in text


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_each_example_shows_its_own_input(tmp_path, kind):
    noisy = examples_of(40, (3,), Arrays)
    x = noisy.x
    if kind == "stream":
        rows = tf.data.Dataset.from_tensor_slices((x, noisy.labels))
        noisy = Stream(rows)
    text, found = page_of(tmp_path, noisy, NAMES)
    shown = re.findall(
        r'data-index="(\d+)".*?"text">(.*?)</p>', text, re.DOTALL
    )
    # The worst come first, which is not the order in which they are read.
    indices = [int(index) for index, _ in shown]
    assert indices == review.suspects(found, 200).index.tolist()
    assert indices != sorted(indices)
    for index, numbers in shown:
        assert numbers == ", ".join(f"{value:.6g}" for value in x[int(index)])


def opened(uri):
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))


def test_pictures_are_scaled_as_samples_are(rng):
    grey = np.array([[[-1.0], [0.0]], [[3.0], [1.0]]])
    assert opened(pictures.image_uri(grey)).tolist() == [[0, 64], [255, 128]]
    flat = np.full((2, 2, 1), 7.0)
    assert not opened(pictures.image_uri(flat)).any()
    color = rng.integers(5, 99, (4, 6, 3), np.uint8)
    np.testing.assert_array_equal(opened(pictures.image_uri(color)), color)
    large = rng.integers(0, 256, (300, 600, 3), np.uint8)
    assert opened(pictures.image_uri(large)).shape == (112, 224, 3)


def test_one_epoch_is_a_point():
    for metrics, marker in ((METRICS[:1], "o"), (METRICS, "")):
        lines = figures.curves_figure(metrics).axes[0].lines
        assert [line.get_marker() for line in lines] == [marker] * 3


def test_a_name_with_dollars_is_no_formula():
    names = ["$^$", "a", "b"]
    figure = figures.transition_figure(T, None, names)
    figure.savefig(io.BytesIO(), format="svg")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == names


@pytest.mark.parametrize(
    "share, text",
    [
        (0, "0.0 %"),
        (0.0004, "< 0.1 %"),
        (0.123, "12.3 %"),
        (0.99951, "> 99.9 %"),
        (1, "100.0 %"),
        (np.nan, "–"),
    ],
)
def test_shares_are_shown_in_percent(share, text):
    assert tables.percent(share) == text


# In a browser.


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip(
            "needs Chromium and ChromeDriver (apt-get install chromium "
            "chromium-driver)"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(chromium, run):
    """Chromium with the page open, and nothing decided."""
    chromium.get(run[0].as_uri())
    chromium.execute_script("localStorage.clear()")
    chromium.refresh()
    yield chromium
    assert not chromium.get_log("browser")


def cards(browser):
    return browser.find_elements(By.CSS_SELECTOR, ".example:not([hidden])")


def count(browser):
    return browser.find_element(By.ID, "count").text


def press(browser, *keys):
    webdriver.ActionChains(browser, duration=0).send_keys(*keys).perform()


def saved(browser, folder):
    """Returns the table that the page saves, all of it text."""
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(folder)},
    )
    browser.find_element(By.ID, "save").click()
    path, deadline = folder / "decisions.csv", time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    path.unlink()
    return table


def rows(noisy, listed, decisions):
    """Returns what the page should save of `{index: (decision, label)}`."""
    return pd.DataFrame(
        [
            (
                str(index),
                noisy.name_of(index),
                identity.identities(noisy)[index],
                str(listed["given_label"][index]),
                *decisions[index],
            )
            for index in listed.index
            if index in decisions
        ],
        columns=[
            "index",
            "example",
            "identity",
            "given_label",
            "decision",
            "label",
        ],
    )


def test_the_page_loads_nothing_but_itself(browser, run):
    browser.get_log("performance")
    browser.refresh()
    messages = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    urls = {
        message["params"]["request"]["url"].partition(",")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    kinds = {"data:image/png;base64", "data:image/svg+xml;base64"}
    assert run[0].as_uri() in urls
    assert urls <= {run[0].as_uri(), *kinds}
    title = browser.title
    assert title == "Review: mlc on npz:<pets>, noise pair 0.4, seed 3"


def test_every_picture_shows_and_has_a_text(browser, run):
    found = browser.execute_script(
        "return [...document.images].map(i => [i.alt, i.naturalWidth])"
    )
    assert len(found) == 2 + len(run[1])
    assert all(len(text) > 20 and width > 0 for text, width in found)
    assert len({text for text, _ in found}) == len(found)


@pytest.mark.parametrize("side", ["given", "suggested"])
def test_a_filter_shows_one_class(browser, run, side):
    column = {"given": "given_label", "suggested": "predicted_label"}[side]
    labels = run[1][column]
    select = Select(browser.find_element(By.ID, side))
    options = [option.text for option in select.options]
    assert options == ["all", *(NAMES[label] for label in sorted(set(labels)))]
    select.select_by_visible_text(HOSTILE)
    shown = [card.get_attribute(f"data-{side}") for card in cards(browser)]
    assert shown == ["2"] * (labels == 2).sum() and shown
    assert count(browser).startswith(f"{len(shown)} of {len(labels)} shown")
    select.select_by_visible_text("all")
    assert len(cards(browser)) == len(labels)


def test_decisions_are_made_with_the_keyboard_alone(browser, run, tmp_path):
    path, listed = run
    save = browser.find_element(By.ID, "save")
    browser.execute_script("arguments[0].focus()", save)
    # Of the first card, the group and then its classes; of the second, ...
    press(browser, Keys.TAB, Keys.ARROW_RIGHT)
    press(browser, Keys.TAB, Keys.TAB, *[Keys.ARROW_RIGHT] * 2)
    press(browser, Keys.TAB, Keys.TAB, *[Keys.ARROW_LEFT])
    # ... and of the fourth only its classes, to one that was not suggested.
    first, second, third, fourth = listed.index[:4]
    key, label = Keys.HOME, 0
    if listed["predicted_label"][fourth] == label:
        key, label = Keys.END, 2
    press(browser, Keys.TAB, Keys.TAB, Keys.TAB, key)
    expected = {
        first: ("keep", ""),
        second: ("drop", ""),
        third: ("relabel", str(listed["predicted_label"][third])),
        fourth: ("relabel", str(label)),
    }
    assert count(browser).endswith(", 4 decided")
    table = saved(browser, tmp_path)
    assert table.equals(rows(examples_of(40), listed, expected))


def test_all_suggestions_are_accepted_saved_and_undone(browser, run, tmp_path):
    _, listed = run
    first = listed.index[0]
    cards(browser)[0].find_element(By.CSS_SELECTOR, "[value=keep]").click()
    given = listed["given_label"][first]
    Select(browser.find_element(By.ID, "given")).select_by_value(str(given))
    browser.find_element(By.ID, "accept").click()
    same = listed[listed["given_label"] == given]
    expected = {
        index: ("relabel", str(label))
        for index, label in same["predicted_label"].items()
    }
    # What was decided by hand stays.
    expected[first] = ("keep", "")
    assert 1 < len(expected) < len(listed)
    assert count(browser).endswith(f"{len(same)} decided")
    table = saved(browser, tmp_path)
    assert table.equals(rows(examples_of(40), listed, expected))
    browser.find_element(By.ID, "undo").click()
    assert count(browser).endswith(", 1 decided")
    assert not browser.find_element(By.ID, "undo").is_enabled()
    assert len(saved(browser, tmp_path)) == 1


def test_another_class_may_be_chosen(browser, run, tmp_path):
    _, listed = run
    first = listed.index[0]
    select = cards(browser)[0].find_element(By.TAG_NAME, "select")
    options = browser.execute_script("return arguments[0].length", select)
    assert options == 1
    browser.execute_script("arguments[0].focus()", select)
    select = Select(select)
    assert [option.text for option in select.options] == list(NAMES)
    suggested = listed["predicted_label"][first]
    assert select.first_selected_option.text == NAMES[suggested]
    other = (suggested + 1) % 3
    select.select_by_visible_text(NAMES[other])
    table = saved(browser, tmp_path)
    expected = {first: ("relabel", str(other))}
    assert table.equals(rows(examples_of(40), listed, expected))
    # It is there again after a reload, though the list of classes is not.
    browser.refresh()
    assert saved(browser, tmp_path).equals(table)
    select = Select(cards(browser)[0].find_element(By.TAG_NAME, "select"))
    assert select.first_selected_option.text == NAMES[other]
    undecided = cards(browser)[0].find_element(
        By.CSS_SELECTOR, "[value=undecided]"
    )
    undecided.click()
    browser.refresh()
    assert count(browser).endswith(", 0 decided")
    assert saved(browser, tmp_path).empty


def test_another_run_has_decisions_of_its_own(browser, run, tmp_path):
    browser.find_element(By.ID, "accept").click()
    noisy = examples_of(40)
    relabelled = noisy.labels.copy()
    relabelled[0] = (relabelled[0] + 1) % 3
    other = Named(noisy.x, relabelled)
    text, _ = page_of(run[0].parent, other, NAMES, T, true=T)
    (tmp_path / "other.html").write_text(text)
    browser.get((tmp_path / "other.html").as_uri())
    assert count(browser).endswith(", 0 decided")
    # A copy of the page, or one of fewer examples, is of the same run.
    text, _ = page_of(run[0].parent, noisy, NAMES, T, most=2, true=T)
    (tmp_path / "copy.html").write_text(text)
    browser.get((tmp_path / "copy.html").as_uri())
    assert count(browser) == "2 of 2 shown, 2 decided"


@pytest.mark.parametrize(
    "stored", ["{", "3", '[["1", ["sell", null]]]', '[["1", ["relabel", 3]]]']
)
def test_what_was_not_stored_by_the_page_is_passed_over(browser, run, stored):
    index = str(run[1].index[0])
    browser.find_element(By.ID, "accept").click()
    browser.execute_script(
        "localStorage.setItem(localStorage.key(0), arguments[0])",
        stored.replace('"1"', f'"{index}"'),
    )
    browser.refresh()
    assert count(browser).endswith(", 0 decided")


def test_a_browser_that_stores_nothing_says_so(browser, run, tmp_path):
    unkept = browser.find_element(By.ID, "unkept")
    assert not unkept.is_displayed()
    script = browser.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument",
        {
            "source": "Object.defineProperty(window, 'localStorage', "
            "{get() { throw new DOMException('no', 'SecurityError'); }})"
        },
    )
    try:
        browser.refresh()
        assert browser.find_element(By.ID, "unkept").is_displayed()
        browser.find_element(By.ID, "accept").click()
        assert len(saved(browser, tmp_path)) == len(run[1])
    finally:
        browser.execute_cdp_cmd(
            "Page.removeScriptToEvaluateOnNewDocument", script
        )


_STOPS = """
return [...document.querySelectorAll(
  "a, button:enabled, select, summary, input:checked, [tabindex]")]
  .filter(e => e.checkVisibility());
"""


def test_tab_reaches_every_control_and_shows_where(browser, run):
    stops = browser.execute_script(_STOPS)
    reached = []
    for _ in stops:
        press(browser, Keys.TAB)
        element, width, style, name = browser.execute_script(
            """
            const element = document.activeElement;
            const shown = getComputedStyle(element);
            return [element, shown.outlineWidth, shown.outlineStyle,
                    element.getAttribute("aria-label")
                    ?? element.labels?.[0]?.textContent
                    ?? element.textContent];
            """
        )
        reached.append(element)
        assert (width, style) == ("3px", "solid") and name.strip()
    assert reached == stops
    # Links, tables and tools; of each example a group and a list.
    assert len(stops) == 5 + 4 + 4 + 2 * len(run[1])


def test_groups_of_choices_have_names(browser, run):
    names = browser.execute_script(
        "return [...document.querySelectorAll('fieldset')].map("
        "f => f.querySelector('legend').textContent)"
    )
    assert names == [
        f"Decision for {examples_of(40).name_of(index)}"
        for index in run[1].index
    ]
    headings = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].map("
        "h => Number(h.tagName[1]))"
    )
    assert headings[0] == 1 and headings.count(1) == 1
    assert max(np.diff(headings)) == 1
    html = browser.find_element(By.TAG_NAME, "html")
    assert html.get_attribute("lang") == "en"
    scopes = browser.execute_script(
        "return [...document.querySelectorAll('th')].map(c => c.scope)"
    )
    assert set(scopes) == {"row", "col"}


_CONTRASTS = """
const context = document.createElement("canvas")
  .getContext("2d", { willReadFrequently: true });
function luminance() {
  const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
    const c = value / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function paint(color) {
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return luminance();
}
function contrast(element) {
  const grounds = [];
  for (let e = element; e; e = e.parentElement) {
    grounds.unshift(getComputedStyle(e).backgroundColor);
  }
  const ground = grounds.map(paint).at(-1);
  const text = paint(getComputedStyle(element).color);
  return (Math.max(ground, text) + 0.05) / (Math.min(ground, text) + 0.05);
}
for (const details of document.querySelectorAll("details")) details.open = true;
return [...document.body.querySelectorAll("*")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some(
    (node) => node.nodeType === Node.TEXT_NODE && node.data.trim()))
  .map((e) => [e.tagName, contrast(e)]);
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, theme):
    def emulate(*features):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": features}
        )

    emulate({"name": "prefers-color-scheme", "value": theme})
    ground = browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor"
    )
    contrasts = browser.execute_script(_CONTRASTS)
    emulate()
    brightness = sum(map(int, ground.strip("rgb()").split(","))) / 3
    assert (brightness > 128) == (theme == "light")
    tags = {tag for tag, _ in contrasts}
    assert {"H1", "TD", "TH", "P", "LABEL", "BUTTON", "CAPTION"} < tags
    assert min(ratio for _, ratio in contrasts) >= 4.5


def test_a_narrow_screen_needs_no_scrolling_aside(browser):
    def emulate(**size):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"height": 700, "deviceScaleFactor": 1, "mobile": False, **size},
        )

    try:
        emulate(width=320)
        beyond = browser.execute_script(
            "const page = document.documentElement;"
            "return page.scrollWidth - page.clientWidth"
        )
        assert beyond == 0
        places = {card.location["x"] for card in cards(browser)}
        assert len(places) == 1
        emulate(width=1280)
        places = {card.location["x"] for card in cards(browser)}
        assert len(places) == 4
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
