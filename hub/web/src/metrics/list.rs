//! The table of figures as a page of the book, in both languages.

use super::table::{FigureKind, FigureRow, rows};
use std::fmt::Write as _;

/// A language of the book.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Language {
    En,
    Zh,
}

const HEAD_EN: &str = "# Figures for Prometheus

Every figure of `GET /metrics`, written of the hub's own table (`cityhub metrics`). How to collect them, the rules that
alert on them and the dashboards are in [observability](observability.md). Counts of values (`cityhub_values_…`) and of
commits go on after a restart; all other counters begin at 0.

| figure | type | labels | shown | meaning | when it is bad |
|---|---|---|---|---|---|
";

const HEAD_ZH: &str = "# Prometheus 指标

`GET /metrics` 的全部指标，由程序自身的表生成（`cityhub metrics`）。采集方法、告警规则与仪表板见[日志、指标、追踪](observability.md)。
数值计数（`cityhub_values_…`）与提交计数在重启后延续，其余计数器从 0 开始。

| 指标 | 类型 | 标签 | 何时出现 | 含义 | 异常时怎么办 |
|---|---|---|---|---|---|
";

/// Writes the page that lists every figure.
pub fn list_of_figures(language: Language) -> String {
    let mut text = match language {
        Language::En => HEAD_EN,
        Language::Zh => HEAD_ZH,
    }
    .to_owned();
    for row in rows() {
        let labels: Vec<String> = row.labels().map(|label| format!("`{label}`")).collect();
        let (meaning, bad) = match language {
            Language::En => (&row.en, &row.bad_en),
            Language::Zh => (&row.zh, &row.bad_zh),
        };
        writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            row.name,
            kind(row, language),
            labels.join(", "),
            shown(&row.shown, language),
            cell(meaning),
            cell(bad)
        )
        .expect("a string takes any text");
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn kind(row: &FigureRow, language: Language) -> &'static str {
    match (row.kind, language) {
        (FigureKind::Counter, Language::En) => "counter",
        (FigureKind::Gauge, Language::En) => "gauge",
        (FigureKind::Histogram, Language::En) => "histogram",
        (FigureKind::Info, Language::En) => "info",
        (FigureKind::Counter, Language::Zh) => "计数器",
        (FigureKind::Gauge, Language::Zh) => "测量值",
        (FigureKind::Histogram, Language::Zh) => "直方图",
        (FigureKind::Info, Language::Zh) => "信息",
    }
}

fn shown(part: &str, language: Language) -> String {
    match (part, language) {
        ("always", Language::En) => "always".to_owned(),
        ("always", Language::Zh) => "总是".to_owned(),
        (part, Language::En) => format!("with {part}"),
        (part, Language::Zh) => format!("有 {part} 时"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Language, list_of_figures};
    use crate::metrics::table::rows;

    #[test]
    fn each_page_has_a_line_for_every_figure() {
        for (language, words) in [(Language::En, "| always |"), (Language::Zh, "| 总是 |")] {
            let page = list_of_figures(language);
            let lines: Vec<&str> = page
                .lines()
                .filter(|line| line.starts_with("| `"))
                .collect();
            assert_eq!(lines.len(), rows().len());
            assert!(lines.iter().all(|line| line.matches(" | ").count() == 5));
            assert!(lines[0].contains(words), "{}", lines[0]);
        }
    }
}
