//! The formats of offices, as small as they may be: text into an archive of XML, and back.
//!
//! Text of a document has a paragraph on each line; of a sheet a row on each line, its cells parted by tabs; of a
//! presentation slides parted by an empty line, each with a paragraph on each line.

use super::archive;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const SLIDE: &str = "http://schemas.openxmlformats.org/presentationml/2006/main";
const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const FORMAT: &str = "application/vnd.openxmlformats-officedocument.";

/// Writes a text so that XML can hold it; what XML cannot hold at all is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            letter => out.push(letter),
        }
    }
    out
}

/// Undoes [`escaped`], and numbers of letters.
pub(crate) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.find(';').filter(|end| *end <= 10);
        let letter = end.and_then(|end| {
            Some(match &after[..end] {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                name => {
                    let number = name.strip_prefix('#')?;
                    let hex = number.strip_prefix(['x', 'X']).map(|hex| u32::from_str_radix(hex, 16));
                    char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)?
                }
            })
        });
        if let (Some(letter), Some(end)) = (letter, end) {
            out.push(letter);
            rest = &after[end + 1..];
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn entry(name: &str, xml: &str) -> (String, Vec<u8>) {
    (name.to_owned(), format!("{DECLARATION}{xml}").into_bytes())
}

/// Makes a list of relations: id, type after the office's prefix, target.
fn relations(list: &[(String, &str, String)]) -> String {
    let each: String = list
        .iter()
        .map(|(id, kind, target)| {
            format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
        })
        .collect();
    format!("<Relationships xmlns=\"{RELATIONS}\">{each}</Relationships>")
}

fn root(target: &str) -> (String, Vec<u8>) {
    entry("_rels/.rels", &relations(&[("rId1".to_owned(), "officeDocument", target.to_owned())]))
}

/// Makes the list of types: part, type after the office's prefix.
fn types(list: &[(String, &str)]) -> (String, Vec<u8>) {
    let each: String = list
        .iter()
        .map(|(part, kind)| format!("<Override PartName=\"/{part}\" ContentType=\"{FORMAT}{kind}+xml\"/>"))
        .collect();
    let usual = "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
                 <Default Extension=\"xml\" ContentType=\"application/xml\"/>";
    entry("[Content_Types].xml", &format!("<Types xmlns=\"{TYPES}\">{usual}{each}</Types>"))
}

/// Writes a document.
pub(crate) fn docx(text: &str) -> Vec<u8> {
    let paragraphs: String = text
        .split('\n')
        .map(|line| format!("<w:p><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>", escaped(line)))
        .collect();
    let body = format!(
        "<w:document xmlns:w=\"{WORD}\"><w:body>{paragraphs}<w:sectPr><w:pgSz w:w=\"11906\" w:h=\"16838\"/>\
         </w:sectPr></w:body></w:document>"
    );
    archive::write(&[
        types(&[("word/document.xml".to_owned(), "wordprocessingml.document.main")]),
        root("word/document.xml"),
        entry("word/document.xml", &body),
    ])
}

/// Writes a sheet.
pub(crate) fn xlsx(text: &str) -> Vec<u8> {
    let rows: String = text
        .split('\n')
        .enumerate()
        .map(|(row, line)| {
            let cells: String =
                line.split('\t').enumerate().map(|(column, cell)| cell_xml(row, column, cell)).collect();
            format!("<row r=\"{}\">{cells}</row>", row + 1)
        })
        .collect();
    let sheet = format!("<worksheet xmlns=\"{SHEET}\"><sheetData>{rows}</sheetData></worksheet>");
    let book = format!(
        "<workbook xmlns=\"{SHEET}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"Sheet1\" sheetId=\"1\" r:id=\"rId1\"/>\
         </sheets></workbook>"
    );
    archive::write(&[
        types(&[
            ("xl/workbook.xml".to_owned(), "spreadsheetml.sheet.main"),
            ("xl/worksheets/sheet1.xml".to_owned(), "spreadsheetml.worksheet"),
        ]),
        root("xl/workbook.xml"),
        entry("xl/workbook.xml", &book),
        entry(
            "xl/_rels/workbook.xml.rels",
            &relations(&[("rId1".to_owned(), "worksheet", "worksheets/sheet1.xml".to_owned())]),
        ),
        entry("xl/worksheets/sheet1.xml", &sheet),
    ])
}

fn cell_xml(row: usize, column: usize, cell: &str) -> String {
    let mut letters = String::new();
    let mut rest = column + 1;
    while rest > 0 {
        letters.insert(0, char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    format!(
        "<c r=\"{letters}{}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
        row + 1,
        escaped(cell)
    )
}

/// Writes a presentation.
pub(crate) fn pptx(text: &str) -> Vec<u8> {
    let slides: Vec<String> = text.split("\n\n").map(|slide| slide_xml("sld", slide)).collect();
    let mut parts = vec![
        ("ppt/presentation.xml".to_owned(), "presentationml.presentation.main"),
        ("ppt/slideMasters/slideMaster1.xml".to_owned(), "presentationml.slideMaster"),
        ("ppt/slideLayouts/slideLayout1.xml".to_owned(), "presentationml.slideLayout"),
        ("ppt/theme/theme1.xml".to_owned(), "theme"),
    ];
    let mut own = vec![("rId1".to_owned(), "slideMaster", "slideMasters/slideMaster1.xml".to_owned())];
    let mut list = String::new();
    let mut entries = Vec::new();
    for (number, xml) in slides.iter().enumerate() {
        let (id, name) = (format!("rId{}", number + 2), format!("slides/slide{}.xml", number + 1));
        list.push_str(&format!("<p:sldId id=\"{}\" r:id=\"{id}\"/>", 256 + number));
        parts.push((format!("ppt/{name}"), "presentationml.slide"));
        let layout = [("rId1".to_owned(), "slideLayout", "../slideLayouts/slideLayout1.xml".to_owned())];
        entries.push(entry(&format!("ppt/{name}"), xml));
        entries.push(entry(&format!("ppt/slides/_rels/slide{}.xml.rels", number + 1), &relations(&layout)));
        own.push((id, "slide", name));
    }
    let presentation = format!(
        "<p:presentation xmlns:p=\"{SLIDE}\" xmlns:r=\"{OFFICE}\"><p:sldMasterIdLst><p:sldMasterId id=\"2147483648\" \
         r:id=\"rId1\"/></p:sldMasterIdLst><p:sldIdLst>{list}</p:sldIdLst><p:sldSz cx=\"9144000\" cy=\"5143500\"/>\
         <p:notesSz cx=\"6858000\" cy=\"9144000\"/></p:presentation>"
    );
    let master = [
        ("rId1".to_owned(), "slideLayout", "../slideLayouts/slideLayout1.xml".to_owned()),
        ("rId2".to_owned(), "theme", "../theme/theme1.xml".to_owned()),
    ];
    let layout = [("rId1".to_owned(), "slideMaster", "../slideMasters/slideMaster1.xml".to_owned())];
    entries.splice(
        0..0,
        [
            types(&parts),
            root("ppt/presentation.xml"),
            entry("ppt/presentation.xml", &presentation),
            entry("ppt/_rels/presentation.xml.rels", &relations(&own)),
            entry("ppt/slideMasters/slideMaster1.xml", &slide_xml("sldMaster", "")),
            entry("ppt/slideMasters/_rels/slideMaster1.xml.rels", &relations(&master)),
            entry("ppt/slideLayouts/slideLayout1.xml", &slide_xml("sldLayout", "")),
            entry("ppt/slideLayouts/_rels/slideLayout1.xml.rels", &relations(&layout)),
            entry("ppt/theme/theme1.xml", &theme()),
        ],
    );
    archive::write(&entries)
}

/// Makes a slide, a master or a layout: they differ in their names and in what follows the tree of shapes.
fn slide_xml(name: &str, text: &str) -> String {
    let paragraphs: String =
        text.split('\n').map(|line| format!("<a:p><a:r><a:t>{}</a:t></a:r></a:p>", escaped(line))).collect();
    let shape = if name == "sld" {
        format!(
            "<p:sp><p:nvSpPr><p:cNvPr id=\"2\" name=\"Text\"/><p:cNvSpPr txBox=\"1\"/><p:nvPr/></p:nvSpPr><p:spPr>\
             <a:xfrm><a:off x=\"457200\" y=\"457200\"/><a:ext cx=\"8229600\" cy=\"4229100\"/></a:xfrm>\
             <a:prstGeom prst=\"rect\"><a:avLst/></a:prstGeom></p:spPr><p:txBody><a:bodyPr/><a:lstStyle/>{paragraphs}\
             </p:txBody></p:sp>"
        )
    } else {
        String::new()
    };
    let colours = "<p:clrMap bg1=\"lt1\" tx1=\"dk1\" bg2=\"lt2\" tx2=\"dk2\" accent1=\"accent1\" accent2=\"accent2\" \
                   accent3=\"accent3\" accent4=\"accent4\" accent5=\"accent5\" accent6=\"accent6\" hlink=\"hlink\" \
                   folHlink=\"folHlink\"/>";
    let after = match name {
        "sldMaster" => format!(
            "{colours}<p:sldLayoutIdLst><p:sldLayoutId id=\"2147483649\" r:id=\"rId1\"/></p:sldLayoutIdLst>"
        ),
        _ => "<p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr>".to_owned(),
    };
    format!(
        "<p:{name} xmlns:p=\"{SLIDE}\" xmlns:a=\"{DRAWING}\" xmlns:r=\"{OFFICE}\"><p:cSld><p:spTree><p:nvGrpSpPr>\
         <p:cNvPr id=\"1\" name=\"\"/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{shape}</p:spTree></p:cSld>\
         {after}</p:{name}>"
    )
}

fn theme() -> String {
    let names = [
        "dk1", "lt1", "dk2", "lt2", "accent1", "accent2", "accent3", "accent4", "accent5", "accent6",
        "hlink", "folHlink",
    ];
    let colours: String = names
        .iter()
        .map(|name| {
            let value = if name.starts_with("lt") { "FFFFFF" } else { "202124" };
            format!("<a:{name}><a:srgbClr val=\"{value}\"/></a:{name}>")
        })
        .collect();
    let font = "<a:latin typeface=\"Arial\"/><a:ea typeface=\"\"/><a:cs typeface=\"\"/>";
    let fill = "<a:solidFill><a:schemeClr val=\"phClr\"/></a:solidFill>".repeat(3);
    let line = "<a:ln><a:solidFill><a:schemeClr val=\"phClr\"/></a:solidFill></a:ln>".repeat(3);
    let effect = "<a:effectStyle><a:effectLst/></a:effectStyle>".repeat(3);
    format!(
        "<a:theme xmlns:a=\"{DRAWING}\" name=\"Simple\"><a:themeElements><a:clrScheme name=\"Simple\">{colours}\
         </a:clrScheme><a:fontScheme name=\"Simple\"><a:majorFont>{font}</a:majorFont><a:minorFont>{font}</a:minorFont>\
         </a:fontScheme><a:fmtScheme name=\"Simple\"><a:fillStyleLst>{fill}</a:fillStyleLst><a:lnStyleLst>{line}\
         </a:lnStyleLst><a:effectStyleLst>{effect}</a:effectStyleLst><a:bgFillStyleLst>{fill}</a:bgFillStyleLst>\
         </a:fmtScheme></a:themeElements></a:theme>"
    )
}

/// A piece of XML: a tag without its angle brackets, or text.
enum Token<'a> {
    Tag(&'a str),
    Text(&'a str),
}

fn tokens(xml: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(inside) = rest.strip_prefix('<') {
            let end = inside.find('>').unwrap_or(inside.len());
            rest = inside.get(end + 1..).unwrap_or_default();
            return Some(Token::Tag(&inside[..end]));
        }
        let end = rest.find('<').unwrap_or(rest.len());
        let text = &rest[..end];
        rest = &rest[end..];
        Some(Token::Text(text))
    })
}

fn tag_name(tag: &str) -> &str {
    tag.split([' ', '/', '\n', '\t', '\r']).next().unwrap_or_default()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = tag.split_once(&format!(" {name}=\""))?;
    after.split('"').next()
}

/// Returns the paragraphs of XML: `paragraph` and `run` are the names of their tags.
fn paragraphs(xml: &str, prefix: &str) -> Vec<String> {
    let name = |local: &str| format!("{prefix}:{local}");
    let (paragraph, run, end_run) = (name("p"), name("t"), format!("/{prefix}:t"));
    let (line, tab, end) = (name("br"), name("tab"), format!("/{prefix}:p"));
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    let mut open = false;
    for token in tokens(xml) {
        match token {
            Token::Tag(tag) => {
                let own = if tag.starts_with('/') { tag.trim_end() } else { tag_name(tag) };
                if own == paragraph {
                    found.push(String::new());
                    open = !tag.ends_with('/');
                } else if own == end {
                    open = false;
                } else if own == run {
                    inside = !tag.ends_with('/');
                } else if own == end_run {
                    inside = false;
                } else if let Some(last) = found.last_mut().filter(|_| open) {
                    if own == line {
                        last.push('\n');
                    } else if own == tab && tag.ends_with('/') && !tag.contains("w:val") {
                        last.push('\t');
                    }
                }
            }
            Token::Text(text) if inside => {
                if let Some(last) = found.last_mut() {
                    last.push_str(&unescaped(text));
                }
            }
            Token::Text(_) => {}
        }
    }
    found
}

fn part<'a>(entries: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, content) = entries.iter().find(|(own, _)| own == name)?;
    std::str::from_utf8(content).ok()
}

/// Reads a document's text.
pub(crate) fn from_docx(bytes: &[u8]) -> Option<String> {
    let entries = archive::read(bytes)?;
    Some(paragraphs(part(&entries, "word/document.xml")?, "w").join("\n"))
}

/// Reads a presentation's text.
pub(crate) fn from_pptx(bytes: &[u8]) -> Option<String> {
    let entries = archive::read(bytes)?;
    part(&entries, "ppt/presentation.xml")?;
    let slide = |name: &str| -> Option<u32> {
        name.strip_prefix("ppt/slides/slide")?.strip_suffix(".xml")?.parse().ok()
    };
    let mut slides: Vec<(u32, &str)> = entries
        .iter()
        .filter_map(|(name, content)| Some((slide(name)?, std::str::from_utf8(content).ok()?)))
        .collect();
    slides.sort_unstable();
    let texts: Vec<String> = slides.iter().map(|(_, xml)| paragraphs(xml, "a").join("\n")).collect();
    Some(texts.join("\n\n"))
}

/// Reads the text of a workbook's first sheet.
pub(crate) fn from_xlsx(bytes: &[u8]) -> Option<String> {
    let entries = archive::read(bytes)?;
    let shared: Vec<String> = part(&entries, "xl/sharedStrings.xml").map(shared_strings).unwrap_or_default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let (mut column, mut shares, mut inside) = (0, false, false);
    for token in tokens(part(&entries, "xl/worksheets/sheet1.xml")?) {
        match token {
            Token::Tag(tag) => match tag_name(tag) {
                "row" => {
                    let number = attribute(tag, "r").and_then(|r| r.parse::<usize>().ok());
                    let number = number.filter(|number| *number <= 1 << 20).unwrap_or(rows.len() + 1);
                    rows.resize(number.max(rows.len()).max(1), Vec::new());
                    column = 0;
                }
                "c" => {
                    column = attribute(tag, "r").and_then(column_of).unwrap_or(column);
                    shares = attribute(tag, "t") == Some("s");
                    let row = rows.last_mut()?;
                    row.resize(row.len().max(column + 1), String::new());
                    column += 1;
                }
                "t" | "v" => inside = !tag.ends_with('/'),
                _ if tag == "/t" || tag == "/v" => inside = false,
                _ => {}
            },
            Token::Text(text) if inside => {
                let text = unescaped(text);
                let text = if shares { shared.get(text.parse::<usize>().ok()?)?.clone() } else { text };
                rows.last_mut()?.get_mut(column.checked_sub(1)?)?.push_str(&text);
            }
            Token::Text(_) => {}
        }
    }
    Some(rows.iter().map(|row| row.join("\t")).collect::<Vec<_>>().join("\n"))
}

fn shared_strings(xml: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for token in tokens(xml) {
        match token {
            Token::Tag("si") => found.push(String::new()),
            Token::Tag(tag) if tag_name(tag) == "t" => inside = !tag.ends_with('/'),
            Token::Tag("/t") => inside = false,
            Token::Text(text) if inside => {
                if let Some(last) = found.last_mut() {
                    last.push_str(&unescaped(text));
                }
            }
            _ => {}
        }
    }
    found
}

fn column_of(cell: &str) -> Option<usize> {
    let letters = cell.bytes().take_while(u8::is_ascii_uppercase);
    let number = letters.fold(0_usize, |number, letter| number * 26 + usize::from(letter - b'A') + 1);
    number.checked_sub(1).filter(|column| *column < 20_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "a < b & c > d \"e\"\n\n  two spaces  \n\u{202e}right\u{202c} \u{1f600}\n";

    #[test]
    fn text_comes_back_from_each_format() {
        for text in [ODD, "", "one", "\n"] {
            assert_eq!(from_docx(&docx(text)).as_deref(), Some(text), "{text:?}");
        }
        for text in ["a\tb\n\tc\n\nd<", "", "x"] {
            assert_eq!(from_xlsx(&xlsx(text)).as_deref(), Some(text), "{text:?}");
        }
        for text in ["Title\nPoint\n\nSecond & last", "", "One"] {
            assert_eq!(from_pptx(&pptx(text)).as_deref(), Some(text), "{text:?}");
        }
        assert_eq!(from_docx(b"no archive"), None);
        assert_eq!(from_xlsx(&docx("a")), None);
    }

    #[test]
    fn what_other_programs_write_is_read() {
        let document = "<w:document><w:body><w:p><w:pPr><w:tabs><w:tab w:val=\"left\"/></w:tabs></w:pPr><w:r>\
                        <w:t>a&#x20;b</w:t><w:tab/><w:t>c</w:t></w:r></w:p><w:p/></w:body></w:document>";
        let archive = archive::write(&[entry("word/document.xml", document)]);
        assert_eq!(from_docx(&archive).as_deref(), Some("a b\tc\n"));
        let strings = "<sst><si><t>first</t></si><si><r><t>sec</t></r><r><t>ond</t></r></si></sst>";
        let sheet = "<worksheet><sheetData><row r=\"2\"><c r=\"C2\" t=\"s\"><v>1</v></c><c r=\"D2\"><v>4.5</v></c></row>\
                     </sheetData></worksheet>";
        let archive = archive::write(&[
            entry("xl/sharedStrings.xml", strings),
            entry("xl/worksheets/sheet1.xml", sheet),
        ]);
        assert_eq!(from_xlsx(&archive).as_deref(), Some("\n\t\tsecond\t4.5"));
        assert_eq!(unescaped("&bad; &#65; & &amp;"), "&bad; A & &");
    }
}
