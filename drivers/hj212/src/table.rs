//! The data tables of the driver: CSV files whose first row names the columns.

/// Lists the rows of a table: no comments, no header, and as many cells as the header has.
pub(crate) fn rows<const N: usize>(csv: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let lines = csv.lines().filter(|line| !line.starts_with('#'));
    lines.skip(1).filter_map(|line| {
        let mut cells = [""; N];
        let mut given = line.split(',');
        for cell in &mut cells {
            *cell = given.next()?.trim();
        }
        Some(cells)
    })
}
