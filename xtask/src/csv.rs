//! Comma-separated values: a header line, then rows; a cell with a comma or a quote stands in quotes.

/// Splits a text into rows of exactly `N` cells, after checking its header line.
///
/// # Errors
/// With the line.
pub(crate) fn parse<const N: usize>(text: &str, header: [&str; N]) -> Result<Vec<[String; N]>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(header.join(",").as_str()) {
        return Err(format!("1: the header is not {}", header.join(",")));
    }
    (2..)
        .zip(lines)
        .map(|(number, line)| {
            let cells = cells(line);
            let count = cells.len();
            cells
                .try_into()
                .map_err(|_| format!("{number}: {count} cells in place of {N}: {line}"))
        })
        .collect()
}

/// The text of rows.
pub(crate) fn print<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = format!("{}\n", header.join(","));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quote(cell)).collect();
        text.push_str(&format!("{}\n", cells.join(",")));
    }
    text
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut cells, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => push(&mut cells, character),
        }
    }
    cells
}

fn push(cells: &mut [String], character: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(character);
    }
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed_again() {
        let rows = [
            ["a".to_owned(), "b, \"c\"".to_owned()],
            [String::new(), "d".to_owned()],
        ];
        let text = print(["x", "y"], &rows);
        assert_eq!(text, "x,y\na,\"b, \"\"c\"\"\"\n,d\n");
        assert_eq!(parse(&text, ["x", "y"]).unwrap(), rows);
    }

    #[test]
    fn wrong_header_or_number_of_cells_is_refused() {
        assert!(parse("x,z\n", ["x", "y"]).is_err());
        assert_eq!(
            parse("x,y\na\n", ["x", "y"]).unwrap_err(),
            "2: 1 cells in place of 2: a"
        );
    }
}
