"""The report in a real browser, from a file: no error, no request, and every control works."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.report import write_report
from tests.needs import need
from tests.report.samples import sample

pytestmark = [pytest.mark.browser, pytest.mark.extensive]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("browser")
    home = tmp_path_factory.mktemp("page")
    return write_report(sample(home), home / "report.html", "today")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    need("browser")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Paths are given, so that selenium looks for no driver of its own.
    path = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    found = webdriver.Chrome(options=options, service=Service(path))
    yield found
    found.quit()


def opened(driver: Any, page: Path, width: int = 1280, dark: bool = False) -> Any:
    """Open the page anew at a width, in a browser that prefers light or dark."""
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(page.as_uri())
    driver.execute_script("localStorage.clear()")
    driver.refresh()
    return driver


def open_data(driver: Any, anchor: str = "blendserve-orders-mooncake") -> Any:
    """Open the table of an experiment's runs, wait until it is built, and return its box."""
    from selenium.webdriver.support.wait import WebDriverWait

    box = driver.find_element("css selector", f"#{anchor} details.panel")
    box.find_element("css selector", "summary").click()
    WebDriverWait(driver, 20).until(lambda _: box.find_elements("tag name", "output"))
    return box


def column(driver: Any, box: Any, name: str) -> list[str]:
    """Return the visible values of a column."""
    return driver.execute_script(
        """const [box, name] = arguments, table = box.querySelector('table');
        const i = [...table.tHead.rows[0].cells].findIndex(c => c.dataset.name === name);
        const shown = [...table.tBodies[0].rows].filter(row => !row.hidden);
        return shown.map(row => row.cells[i].textContent);""",
        box,
        name,
    )


def header(box: Any, name: str) -> Any:
    return box.find_element("css selector", f'th[data-name="{name}"]')


def test_no_console_message_and_no_request_but_the_file(driver: Any, page: Path) -> None:
    driver.get("about:blank")
    driver.get_log("performance")  # what the browser did to start itself
    opened(driver, page)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [e for e in events if e["method"] == "Network.requestWillBeSent"]
    urls = {e["params"]["request"]["url"].split(":", 1)[0] for e in sent}
    assert urls <= {"file", "data"}
    assert driver.get_log("browser") == []


def test_hostile_text_stays_text(driver: Any, page: Path) -> None:
    opened(driver, page)
    open_data(driver, "mine-hostile")
    assert driver.title == "Triptych report"
    assert driver.find_elements("css selector", "img") == []
    title = driver.find_element("id", "mine-hostile-title").text
    assert title.startswith("Title </script><script>")


def test_runs_are_filtered_by_policy_axis_and_text(driver: Any, page: Path) -> None:
    opened(driver, page)
    box = open_data(driver)
    assert len(column(driver, box, "policy")) == 45
    choose(driver, box, "policy", "shuffled")
    assert set(column(driver, box, "policy")) == {"shuffled"}
    choose(driver, box, "overlap", "max")
    assert len(column(driver, box, "seed")) == 3
    assert box.find_element("tag name", "output").text == "3 of 45 rows"
    choose(driver, box, "policy", "")
    choose(driver, box, "overlap", "")
    box.find_element("css selector", "input[type=search]").send_keys("longest")
    assert set(column(driver, box, "policy")) == {"longest_first"}


def choose(driver: Any, box: Any, name: str, value: str) -> None:
    """Pick a value of the filter called `name`."""
    driver.execute_script(
        """const [box, name, value] = arguments;
        const label = [...box.querySelectorAll('.tools label')].find(
            l => l.firstChild.textContent === name);
        label.querySelector('select').value = value;
        label.querySelector('select').dispatchEvent(new Event('change'));""",
        box,
        name,
        value,
    )


def test_columns_sort_by_click_and_by_key(driver: Any, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    opened(driver, page)
    box = open_data(driver)
    header(box, "throughput_tokens_s").find_element("tag name", "button").click()
    up = [float(value) for value in column(driver, box, "throughput_tokens_s")]
    assert up == sorted(up)
    assert header(box, "throughput_tokens_s").get_attribute("aria-sort") == "ascending"
    header(box, "throughput_tokens_s").find_element("tag name", "button").send_keys(Keys.ENTER)
    assert [float(v) for v in column(driver, box, "throughput_tokens_s")] == up[::-1]
    header(box, "policy").find_element("tag name", "button").click()
    assert header(box, "throughput_tokens_s").get_attribute("aria-sort") == "none"
    names = column(driver, box, "policy")
    assert names == sorted(names)


def test_the_csv_holds_the_shown_rows_in_full_precision(driver: Any, page: Path) -> None:
    from urllib.parse import unquote

    opened(driver, page)
    box = open_data(driver)
    choose(driver, box, "policy", "arrival")
    link = box.find_element("css selector", "a.download")
    driver.execute_script("arguments[0].addEventListener('click', e => e.preventDefault())", link)
    link.click()
    text = unquote(link.get_attribute("href").split(",", 1)[1])
    lines = text.splitlines()
    assert lines[0].startswith("policy,seed,overlap,throughput_tokens_s")
    assert len(lines) == 10
    assert any(len(cell.split(".")[-1]) > 8 for cell in lines[1].split(",") if "." in cell)


def test_claims_are_filtered_by_verdict(driver: Any, page: Path) -> None:
    opened(driver, page)
    box = driver.find_element("css selector", "#claims .table")
    choose(driver, box, "verdict", "deviates")
    shown = column(driver, box, "Verdict")
    assert shown
    assert all("deviates" in words for words in shown)


def test_dark_mode_follows_the_system_and_the_button(driver: Any, page: Path) -> None:
    def colours() -> tuple[str, str]:
        script = """const of = (q, p) => getComputedStyle(document.querySelector(q))[p];
        return [of('body', 'backgroundColor'), of('figure svg', 'color')];"""
        return tuple(driver.execute_script(script))

    opened(driver, page, dark=False)
    light = colours()
    opened(driver, page, dark=True)
    dark = colours()
    assert light[0] == "rgb(255, 255, 255)"
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    button = driver.find_element("id", "theme")
    assert button.text == "Light page"
    button.click()
    assert colours() == light
    driver.refresh()
    assert colours() == light  # remembered


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_overflows_the_page(driver: Any, page: Path, width: int) -> None:
    opened(driver, page, width)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    assert driver.execute_script(widths) == [width, width]


def test_landmarks_headers_and_names_are_there(driver: Any, page: Path) -> None:
    opened(driver, page)
    open_data(driver)
    missing = driver.execute_script(
        """const bare = [];
        for (const q of ['header', 'main', 'nav[aria-label]', 'a.skip', 'html[lang]', 'h1'])
          if (document.querySelectorAll(q).length !== 1) bare.push(q);
        for (const th of document.querySelectorAll('th')) if (th.scope !== 'col') bare.push('th');
        for (const f of document.querySelectorAll('figure'))
          if (!f.querySelector('figcaption') || !f.querySelector('[role=img][aria-label]'))
            bare.push('figure');
        for (const c of document.querySelectorAll('select, input'))
          if (!c.labels.length) bare.push('control');
        for (const s of document.querySelectorAll('.scroll'))
          if (s.tabIndex !== 0 || !s.getAttribute('aria-label')) bare.push('scroll');
        return bare;"""
    )
    assert missing == []


def test_the_first_tab_stop_skips_to_the_results(driver: Any, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    opened(driver, page)
    driver.find_element("tag name", "body").send_keys(Keys.TAB)
    assert driver.switch_to.active_element.get_attribute("class") == "skip"
