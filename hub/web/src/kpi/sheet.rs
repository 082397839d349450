//! An evaluation on paper: a sheet for a spreadsheet program, a page for a printer.

use super::{Evaluation, Indicator, indicators};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// By which Excel knows that the text is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

const STYLE: &str = "body{font:14px/1.5 \"Songti SC\",SimSun,serif;margin:2em;color:#000}\
h1{font-size:20px;text-align:center}h2{font-size:16px;margin-top:1.5em}\
table{border-collapse:collapse;width:100%;page-break-inside:auto}\
th,td{border:1px solid #000;padding:2px 6px;text-align:right;font-weight:normal}\
th{background:#eee}td:first-child,th:first-child{text-align:left}.text td{text-align:left}\
tr{page-break-inside:avoid}@media print{body{margin:0}}";

/// One table of the report: a heading, the names of its columns, its rows.
struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Words, which are set flush left.
    is_text: bool,
}

/// Shows a number as people read it: rates in per cent.
fn cell(name: &str, value: Option<&Value>) -> String {
    let number = value.and_then(Value::as_f64);
    match number {
        None => "-".to_owned(),
        Some(share) if name.ends_with("_rate") || name.ends_with("_share") => {
            format!("{:.2}%", share * 100.0)
        }
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.1}"),
    }
}

fn certainties(all: &[Indicator]) -> Table {
    let rows = all.iter().map(|indicator| {
        vec![
            indicator.name_cn.clone(),
            indicator.formula.clone(),
            indicator.source.clone(),
            indicator.certainty.clone(),
        ]
    });
    Table {
        title: "指标、公式、出处与可信度 ([V] 已核实, [M] 凭记忆, [D] 本系统约定)".to_owned(),
        head: ["指标", "公式", "出处", "可信度"].map(str::to_owned).into(),
        rows: rows.collect(),
        is_text: true,
    }
}

fn tables(evaluation: &Evaluation) -> Vec<Table> {
    let all = indicators();
    let total = evaluation.total.indicators();
    let of_cases: Vec<&Indicator> = all.iter().filter(|i| total.contains_key(&i.name)).collect();
    let row = |key: &str, sums: &Map<String, Value>| {
        let cells = of_cases.iter().map(|i| cell(&i.name, sums.get(&i.name)));
        std::iter::once(key.to_owned())
            .chain(cells)
            .collect::<Vec<_>>()
    };
    let by = evaluation.by.name_cn();
    let names = of_cases.iter().map(|i| i.name_cn.clone());
    let mut rows = vec![row("合计", &total)];
    rows.extend(evaluation.groups.iter().map(|(key, sums)| {
        let key = if key.is_empty() { "未知" } else { key };
        row(key, &sums.indicators())
    }));
    let cases = Table {
        title: format!("案件评价 (按{by})"),
        head: std::iter::once(by.to_owned()).chain(names).collect(),
        rows,
        is_text: false,
    };
    let mut rows = vec![vec![
        "合计".to_owned(),
        cell("online_rate", Some(&evaluation.online_rate())),
    ]];
    let kinds = evaluation.online_rates();
    rows.extend(
        kinds
            .iter()
            .map(|(kind, share)| vec![kind.clone(), cell("online_rate", Some(share))]),
    );
    let devices = Table {
        title: "设备在线率".to_owned(),
        head: vec!["设备类型".to_owned(), "在线率".to_owned()],
        rows,
        is_text: false,
    };
    let figures = evaluation.load.get("figures");
    let of_load = all.iter().filter_map(|indicator| {
        let value = figures?.get(&indicator.name)?;
        let target = indicator.target.map(Value::from);
        Some(vec![
            indicator.name_cn.clone(),
            cell(&indicator.name, Some(value)),
            cell(&indicator.name, target.as_ref()),
        ])
    });
    let load = Table {
        title: "报警负荷 (EEMUA 191, ISA-18.2)".to_owned(),
        head: ["指标", "本期", "目标"].map(str::to_owned).into(),
        rows: of_load.collect(),
        is_text: false,
    };
    vec![cases, devices, load, certainties(&all)]
}

fn period(evaluation: &Evaluation) -> String {
    format!(
        "统计时段 {} 至 {}",
        evaluation.period.0, evaluation.period.1
    )
}

/// Writes a field so that a comma or a quote in it ends nothing, and no text is taken for a formula.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '@', '\t']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

pub(super) fn csv(evaluation: &Evaluation, title: &str) -> String {
    let mut out = String::from(BYTE_ORDER_MARK);
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| field(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    };
    line(&[title.to_owned()]);
    line(&[period(evaluation)]);
    for table in tables(evaluation) {
        line(&[]);
        line(&[table.title]);
        line(&table.head);
        for row in &table.rows {
            line(row);
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub(super) fn html(evaluation: &Evaluation, title: &str) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escape(&period(evaluation))
    );
    let mut put = |text: &str| out.push_str(text);
    for table in tables(evaluation) {
        let class = if table.is_text { " class=\"text\"" } else { "" };
        put(&format!(
            "<h2>{}</h2>\n<table{class}>\n<tr>",
            escape(&table.title)
        ));
        put(&cells("th", &table.head));
        put("</tr>\n");
        for row in &table.rows {
            put(&format!("<tr>{}</tr>\n", cells("td", row)));
        }
        put("</table>\n");
    }
    put("</body>\n</html>\n");
    out
}

fn cells(tag: &str, texts: &[String]) -> String {
    texts.iter().fold(String::new(), |mut out, text| {
        write!(out, "<{tag}>{}</{tag}>", escape(text)).expect("a string takes any text");
        out
    })
}
