#!/usr/bin/env python3
"""reference.py BINARY OUT: writes the generated pages of the book, OUT/{en,zh-CN}/reference/*.md, from the
program's help, deploy/hub.schema.json, the API descriptions and the code tables. Chinese words come from
docs/zh-CN/reference.tsv; what it does not have stays English and is listed with --missing."""
import csv
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MISSING = []


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def flat(text):
    return " ".join((text or "").split())


WORDS = {}
for line in read("docs/zh-CN/reference.tsv").splitlines():
    if "\t" in line:
        english, chinese = line.split("\t", 1)
        WORDS[english] = chinese


def say(language, text):
    """The text in the language of the page."""
    text = flat(text)
    if language == "en" or not text:
        return text
    if text not in WORDS and text not in MISSING:
        MISSING.append(text)
    return WORDS.get(text, text)


def cell(text):
    return str(text).replace("|", "\\|").replace("<", "&lt;") if "`" not in str(text) else str(text).replace("|", "\\|")


def table(head, rows):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    out += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return out + [""]


def pick(language, english, chinese):
    return english if language == "en" else chinese


def note(language, source):
    return [pick(language, f"Generated from {source} by `make reference`; do not edit.",
                 f"本页由 `make reference` 依 {source} 生成，请勿手工修改。"), ""]


# Configuration

SCHEMA = json.loads(read("deploy/hub.schema.json"))


def resolve(node):
    """What a reference names, with the words that stand beside the reference."""
    seen = dict(node)
    for key in ("anyOf", "allOf"):
        parts = [part for part in seen.get(key, []) if part.get("type") != "null"]
        if len(parts) == 1:
            rest = {name: value for name, value in seen.items() if name != key}
            seen = {**parts[0], **rest}
    if "$ref" in seen:
        target = resolve(SCHEMA["$defs"][seen["$ref"].rsplit("/", 1)[1]])
        seen = {**target, **{key: value for key, value in seen.items() if key != "$ref"}}
    return seen


def shape(node):
    """The type of a key, as people say it."""
    if "const" in node:
        return f'`"{node["const"]}"`'
    if "enum" in node:
        return ", ".join(f'`"{value}"`' for value in node["enum"] if value is not None)
    if "oneOf" in node:
        return ", ".join(f'`"{part["const"]}"`' for part in node["oneOf"] if "const" in part) or "table"
    kinds = node.get("type", "text")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    kind = next((kind for kind in kinds if kind != "null"), "text")
    if kind == "array":
        return "list of " + shape(resolve(node.get("items", {})))
    return {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "table"}.get(kind, kind)


SHAPES = {"text": "文本", "whole number": "整数", "number": "数", "true or false": "true 或 false", "table": "表"}


def shape_in(language, node):
    english = shape(node)
    if language == "en":
        return english
    if english.startswith("list of "):
        return SHAPES.get(english[8:], english[8:]) + "的列表"
    return SHAPES.get(english, english)


def default(node, required):
    if required:
        return None
    value = node.get("default")
    if value is None:
        return ""
    return "`" + json.dumps(value, ensure_ascii=False) + "`"


def words_of(language, node):
    """The description, with what each word of a closed set means."""
    said = say(language, node.get("description"))
    for part in node.get("oneOf", []):
        if "const" in part and part.get("description"):
            said += f' `"{part["const"]}"`: {say(language, part["description"])}'
    return said


def section(language, name, node, depth, out):
    node = resolve(node)
    if name:
        out += ["#" * min(depth, 4) + f" `[{name}]`", ""]
    said = say(language, node.get("description")) if name else ""
    if said:
        out += [said, ""]
    rows, inner = [], []
    for key, value in node.get("properties", {}).items():
        value = resolve(value)
        below = f"{name}.{key}" if name else key
        named = value.get("additionalProperties")
        if isinstance(named, dict) and (resolve(named).get("properties") or "oneOf" in named):
            inner.append((below, value, named))
            continue
        if value.get("properties"):
            inner.append((below, value, None))
            continue
        if "const" in value:
            rows.append((f"`{key}`", shape_in(language, value), pick(language, "needed", "必填"), say(language, value.get("description"))))
            continue
        needed = key in node.get("required", [])
        rows.append((f"`{key}`", shape_in(language, value), default(value, needed) if not needed else pick(language, "needed", "必填"),
                     words_of(language, value)))
    if rows:
        head = pick(language, ["key", "type", "default", "meaning"], ["键", "类型", "默认值", "含义"])
        out += table(head, rows)
    for below, value, named in inner:
        if named is None:
            section(language, below, value, depth + 1, out)
        elif "oneOf" in named:
            kinds(language, below, value, named, depth, out)
        else:
            placeholder = "METRIC" if below.endswith(("metrics", "values", "readings")) else "NAME"
            kind = resolve(named)
            kind = {**kind, "description": kind.get("description") or value.get("description")}
            section(language, f"{below}.{placeholder}", kind, depth + 1, out)


def kinds(language, name, value, named, depth, out):
    """Tables of which one key says what else they have."""
    out += ["#" * min(depth + 1, 4) + f" `[{name}.NAME]`", "", say(language, value.get("description")), ""]
    for part in named["oneOf"]:
        kind = resolve(part)
        which = part["$ref"].rsplit("/", 1)[1].split("_", 1)[1]
        key = "codec" if name == "profiles" else "kind"
        out += ["#" * min(depth + 2, 4) + f' `[{name}.NAME]`, `{key} = "{which}"`', ""]
        body = []
        section(language, "", kind, depth + 2, body)
        # Tables inside of it are named after it.
        out += [re.sub(r"^(#+) `\[", rf"\1 `[{name}.NAME.", line) for line in body]


def config(language):
    out = [pick(language, "# Configuration", "# 配置"), ""]
    out += note(language, "`deploy/hub.schema.json`")
    out += [pick(language,
                 "TOML, named tables and no arrays of tables, so that a variable can set any key: `CITYHUB__HTTP__LISTEN=0.0.0.0:8080`. Unknown keys are errors. "
                 "`cityhub check` names file, line and key of a mistake; `cityhub schema` prints the JSON Schema. Units end the key's name.",
                 "TOML 格式，只用具名的表、不用表数组，因此任何键都能由环境变量设置：`CITYHUB__HTTP__LISTEN=0.0.0.0:8080`。未知的键即为错误。"
                 "`cityhub check` 指明出错的文件、行与键；`cityhub schema` 打印 JSON Schema。键名以单位结尾。"), ""]
    section(language, "", SCHEMA, 1, out)
    return out


# API

METHODS = ("get", "put", "post", "patch", "delete")


def api(language):
    book = json.loads(read("hub/web/openapi.json"))
    out = [pick(language, "# API", "# 接口"), ""]
    out += note(language, "`hub/web/openapi.json`, `hub/web/asyncapi.json`")
    out += [pick(language,
                 "`GET /api/v1/openapi.json` and `GET /api/v1/asyncapi.json` of a running hub are the whole of it, with the schema of every body. Send `Authorization: Bearer TOKEN`. Errors are "
                 "`application/problem+json` with `type`, `status`, `detail` and `request_id`.",
                 "运行中的中枢以 `GET /api/v1/openapi.json` 与 `GET /api/v1/asyncapi.json` 给出全部内容，包括每个报文体的模式。请求须带 `Authorization: Bearer 令牌`。错误以 "
                 "`application/problem+json` 返回，含 `type`、`status`、`detail`、`request_id`。各接口的详细说明见英文页。"), ""]
    groups = {}
    for path, methods in book["paths"].items():
        parts = path.strip("/").split("/")
        group = parts[2] if parts[:2] == ["api", "v1"] and len(parts) > 2 else "/"
        for method in METHODS:
            if method in methods:
                groups.setdefault(group, []).append((method.upper(), path, methods[method], methods.get("parameters", [])))
    for group in sorted(groups):
        out += ["## " + (pick(language, "outside of `/api`", "`/api` 之外") if group == "/" else group), ""]
        if language != "en":
            rows = []
            for method, path, what, shared in groups[group]:
                query = [follow(book, part) for part in shared + what.get("parameters", [])]
                query = [f'`{part["name"]}`' for part in query if part["in"] == "query"]
                rows.append((f"`{method} {path}`", say(language, what.get("summary")), say(language, roles(what)[1]), " ".join(query)))
            out += table(["接口", "说明", "角色", "查询参数"], rows)
            continue
        for method, path, what, shared in groups[group]:
            said, who = roles(what)
            said = "" if said == flat(what.get("summary")) else said
            out += [f"**`{method} {path}`** {flat(what.get('summary'))}. {said}".strip(), ""]
            if who:
                out += [f"Roles: {who}.", ""]
            query = [follow(book, part) for part in shared + what.get("parameters", [])]
            query = [part for part in query if part["in"] != "path"]
            if query:
                out += table(["parameter", "meaning"], [(f'`{part["name"]}`', flat(part.get("description"))) for part in query])
    events = json.loads(read("hub/web/asyncapi.json"))
    out += [pick(language, "## Channels of events", "## 事件通道"), ""]
    rows = [(f'`{channel.get("address")}`', say(language, channel.get("title")), say(language, channel.get("description")))
            for channel in events["channels"].values()]
    out += table(pick(language, ["address", "what", "how"], ["地址", "名称", "用法"]), rows)
    out += [pick(language, "## Types of events", "## 事件类型"), ""]
    rows = [(f"`{name}`", say(language, message.get("summary") or message.get("title") or message.get("description")))
            for name, message in events["components"]["messages"].items()]
    out += table(pick(language, ["type", "when"], ["类型", "何时"]), rows)
    return out


def follow(book, part):
    while "$ref" in part:
        at = book
        for step in part["$ref"].lstrip("#/").split("/"):
            at = at[step]
        part = at
    return part


def roles(what):
    """The description without its last sentence, which says who may ask, and that sentence."""
    said = flat(what.get("description"))
    found = re.search(r"\s*Roles: (.*?)\.?$", said)
    return (said[: found.start()], found.group(1)) if found else (said, "")


# Command line

COMMON = ("--config", "--data-dir", "--help", "--version")


def help_of(binary, words):
    return subprocess.run([binary, *words, "-h"], capture_output=True, text=True, check=True).stdout


def command(language, binary, words, out):
    text = help_of(binary, words)
    said, _, rest = text.partition("\nUsage: ")
    usage = rest.splitlines()[0]
    blocks = {}
    for block in re.split(r"\n\n", rest):
        name, _, body = block.partition(":\n")
        blocks[name.splitlines()[-1] if name else ""] = body.splitlines()
    name = " ".join(["cityhub", *words])
    out += ["#" * min(len(words) + 1, 4) + f" `{name}`" if words else "", ""]
    first = said.strip().split("\n\n")
    out += [" ".join(say(language, part) for part in first), "", "```text", usage, "```", ""]
    rows = []
    for line in blocks.get("Arguments", []) + blocks.get("Options", []):
        found = re.match(r"\s+(?:-\w, )?(\S+(?: <[^>]*>(?:\.\.\.)?)?)\s*(.*)$", line)
        if not found or found.group(1).split(" ")[0] in COMMON:
            continue
        rows.append((f"`{found.group(1)}`", say(language, found.group(2))))
    if rows:
        out += table(pick(language, ["option", "meaning"], ["选项", "含义"]), rows)
    for line in blocks.get("Commands", []):
        found = re.match(r"  (\S+)", line)
        if found and found.group(1) != "help":
            command(language, binary, [*words, found.group(1)], out)


def cli(language, binary):
    out = [pick(language, "# Commands", "# 命令"), ""]
    out += note(language, "`cityhub help`")
    out += [pick(language,
                 "Every command takes `--config FILE` (`hub.toml` if it exists, else built-in defaults) and `--data-dir DIR` (wins over the configuration). Exit codes: 0 fine; 1 the "
                 "answer is no (`health`, `verify`); 2 bad usage or configuration, with file, line and key; 74 the journal failed.",
                 "每个命令都可带 `--config FILE`（默认为当前目录的 `hub.toml`，没有则用内置默认值）与 `--data-dir DIR`（优先于配置）。退出码：0 正常；1 结果为否"
                 "（`health`、`verify`）；2 用法或配置错误，并指明文件、行与键；74 日志（journal）写入失败。"), ""]
    command(language, binary, [], out)
    return out


# Codes and limits

def rows_of(path):
    lines = [line for line in read(path).splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(lines))


def codes(language):
    out = [pick(language, "# Codes and limits", "# 代码与限值"), ""]
    out += note(language, "`hub/model/data/*.csv`")
    out += [pick(language,
                 "Codes, limits and plausible ranges are tables with their source. A city adds rows or replaces them by code: `metrics`, `city.categories`, `city.components`, `city.time_limits`, "
                 "`city.working_times` and `cases.mapping` of the [configuration](config.md#city). Marks: [V] read at the source, [V2] in a secondary source, [M] from memory, [D] decided here.",
                 "代码、限值与合理范围都是注明来源的数据表。城市可按代码增补或替换：配置中的 `metrics`、`city.categories`、`city.components`、`city.time_limits`、"
                 "`city.working_times`、`cases.mapping`（见[配置](config.md#city)）。标记：[V] 已核对原文，[V2] 见于二手资料，[M] 凭记忆，[D] 本项目自定。"), ""]
    zh = language != "en"
    out += [pick(language, "## Kinds of devices", "## 设备类型") + " {#kinds}", ""]
    out += table(["kind", pick(language, "name", "名称")],
                 [(f'`{row["kind"]}`', row["name_zh"] if zh else f'{row["name_en"]} {row["name_zh"]}') for row in rows_of("hub/model/data/kinds.csv")])
    out += [pick(language, "## Severities", "## 报警级别") + " {#severities}", ""]
    out += table(["severity", pick(language, "numeral", "级"), pick(language, "name", "名称"), pick(language, "colour", "颜色")],
                 [(f'`{row["severity"]}`', row["numeral"], row["name_zh"] if zh else f'{row["name_en"]} {row["name_zh"]}', row["colour_zh"])
                  for row in rows_of("hub/model/data/severities.csv")])
    out += [pick(language, "## Metrics", "## 指标") + " {#metrics}", ""]
    out += [pick(language,
                 "`min` and `max` are what a working sensor can report at all, not alarm limits: beyond them a value is `bad:range`. `rate`: faster than this per second is `uncertain:rate`. `stuck`: unchanged "
                 "for longer, in seconds, is `uncertain:stuck`.",
                 "“下限”“上限”是正常传感器所能给出的范围，不是报警限值：超出者为 `bad:range`。“变化率”：每秒变化超过此值为 `uncertain:rate`。“不变”：数值不变超过此秒数为 `uncertain:stuck`。"), ""]
    rows = []
    for path in ("hub/model/data/metrics.csv", "drivers/gb28181/data/metrics.csv", "drivers/gbfs/data/metrics.csv"):
        for row in rows_of(path):
            rows.append((f'`{row["name"]}`', row["name_zh"] if zh else row["name_en"], row["unit"], row["min"], row["max"],
                         row["rate_max_per_s"], row["stuck_after_s"]))
    out += table(pick(language, ["metric", "name", "unit", "min", "max", "rate", "stuck"], ["指标", "名称", "单位", "下限", "上限", "变化率", "不变"]), rows)
    for title, path in ((("Event categories", "事件分类"), "event_categories"), (("Component classes", "部件分类"), "component_classes")):
        out += ["## " + pick(language, *title) + " {#" + path.replace("_", "-") + "}", ""]
        out += table(pick(language, ["code", "name", "English", "mark"], ["代码", "名称", "大类", "标记"]),
                     [(f'`{row["code"]}`', row["name"], row["major"] if zh else row["english"], (row["certainty"].split("]")[0] + "]") if "]" in row["certainty"] else row["certainty"])
                      for row in rows_of(f"hub/model/data/{path}.csv")])
    out += [pick(language, "## Time limits of cases", "## 案件处置时限") + " {#time-limits}", ""]
    units = {"urgent_hour": "紧急工作时", "natural_day": "自然日", "work_hour": "工作时", "work_day": "工作日"}
    out += table(pick(language, ["category", "from severity", "limit", "mark"], ["分类", "级别不低于", "时限", "标记"]),
                 [(f'`{row["category"]}`' if row["category"] else "", row["min_severity"], f'{row["amount"]} {units.get(row["unit"], row["unit"]) if zh else row["unit"]}', row["certainty"])
                  for row in rows_of("hub/model/data/time_limits.csv")])
    return out


def main():
    arguments = [word for word in sys.argv[1:] if word != "--missing"]
    if len(arguments) != 2:
        sys.exit(__doc__)
    binary, target = arguments
    for language in ("en", "zh-CN"):
        folder = os.path.join(target, language, "reference")
        os.makedirs(folder, exist_ok=True)
        pages = {"config": config(language), "api": api(language), "cli": cli(language, binary), "codes": codes(language)}
        for name, lines in pages.items():
            text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
            with open(os.path.join(folder, name + ".md"), "w", encoding="utf-8") as file:
                file.write(text)
    if "--missing" in sys.argv:
        print("\n".join(MISSING))


main()
