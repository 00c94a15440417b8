//! The printable page: one HTML file, black on white, A4, without anything from a network.

use qrcode::{EcLevel, QrCode, render::svg};

use super::KeyError;

/// What a page says.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) lead: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) lines: Vec<String>,
    pub(super) code: String,
    pub(super) steps: Vec<String>,
}

const STYLE: &str = "@page{size:A4;margin:16mm}\
body{font:11pt/1.4 sans-serif;color:#000;background:#fff;max-width:178mm;margin:0 auto}\
h1{font-size:20pt;margin:0 0 3mm}table{border-collapse:collapse;margin:4mm 0}\
td{padding:.5mm 6mm .5mm 0;vertical-align:top}code,pre,.m{font-family:monospace;font-size:9.5pt;overflow-wrap:anywhere}\
.key{font:bold 14pt/1.7 monospace;border:1.5pt solid #000;padding:3mm 4mm;white-space:pre-wrap}\
.code{text-align:center;margin:5mm 0}.code svg{width:72mm;height:72mm}\
ol{margin:2mm 0 0;padding-left:6mm}li{margin-bottom:1.5mm}";

pub(super) fn render(page: &Page) -> Result<String, KeyError> {
    let code = code(&page.code)?;
    let facts: String = page
        .facts
        .iter()
        .map(|(name, value)| format!("<tr><td>{name}</td><td class=m>{}</td></tr>\n", escape(value)))
        .collect();
    let steps: String = page.steps.iter().map(|step| format!("<li>{step}</li>\n")).collect();
    Ok(format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>\n\
         <h1>{title}</h1>\n<p>{lead}</p>\n<table>\n{facts}</table>\n\
         <p>The key. The last group of each line checks the line; the code below holds the same.</p>\n\
         <div class=key>{lines}</div>\n<div class=code>{code}</div>\n<ol>\n{steps}</ol>\n</html>\n",
        title = escape(&page.title),
        lead = escape(&page.lead),
        lines = escape(&page.lines.join("\n")),
    ))
}

/// Returns the code as SVG, with the quiet border that scanners need.
pub(super) fn code(text: &str) -> Result<String, KeyError> {
    let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::Q)
        .map_err(|e| KeyError::Damaged { reason: e.to_string() })?;
    let image = code.render::<svg::Color<'_>>().min_dimensions(240, 240).quiet_zone(true).build();
    // Inside of a page there is no XML declaration.
    Ok(image.split_once("?>").map_or(image.as_str(), |(_, svg)| svg).trim_start().to_owned())
}

/// Returns what to do, with and without unwipe.
pub(super) fn steps(reference: &str, option: &str) -> Vec<String> {
    vec![
        "Scan the code, or type the lines of the key, into a file for each page (spaces do not matter). \
         Make it private: <code>chmod 600 FILE</code>."
            .to_owned(),
        format!("Prove that it opens the vault: <code>unwipe keys drill --key {}</code>", escape(reference)),
        format!(
            "Restore: <code>unwipe rewind NAME@latest --to FOLDER --key {}</code>. It needs an \
             <code>unwipe.toml</code> that names the vault's place.",
            escape(reference)
        ),
        format!(
            "Without unwipe, with Python: <code>read_vault.py restore VAULT {} --source NAME --out FOLDER</code>. \
             The format is public: docs/format/vault-v1.md.",
            escape(option)
        ),
    ]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
