//! What fuzzers and the kept corpus do with the reader and the map decoder, and what must hold.

use crate::frame::{Block, Data, Reader, Reply, Request, Table};
use crate::map::{Map, MapFile, Profile};
use crate::readings::{Sheet, decode};
use model::Catalogue;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

/// Largest file that is taken for a map.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Takes a stream as a line sends it. The first bytes say what was asked and how the stream comes in
/// pieces: unit, function, count, piece length, and the length of a known text that follows.
pub fn line(input: &[u8]) {
    let [unit, function, count, piece, known, stream @ ..] = input else {
        return;
    };
    let (known, stream) = stream.split_at(usize::from(*known % 12).min(stream.len()));
    let known: Arc<[Vec<u8>]> = Arc::new([known.to_vec()]);
    let table = match function % 6 {
        0 => Table::Coil,
        1 => Table::Discrete,
        2 => Table::Input,
        _ => Table::Holding,
    };
    let count = u16::from(*count).clamp(1, 125);
    let request = match function % 6 {
        4 => Request::WriteRegister {
            at: count,
            value: 1,
        },
        _ => Request::Read(Block {
            table,
            at: 0,
            count,
        }),
    };
    let mut reader = Reader::new(known);
    for part in stream.chunks(usize::from(*piece).max(1)) {
        let forgotten = reader.feed(part);
        assert!(forgotten <= part.len(), "no more is forgotten than came");
        let before = reader.received().len();
        assert!(before <= 1024, "what waits is bounded");
        while let Some(found) = reader.find(*unit, &request) {
            assert!(found.foreign < before, "an answer has bytes of its own");
            if let (Reply::Data(data), Request::Read(block)) = (&found.reply, &request) {
                assert_eq!(data.bytes().len(), block.data_bytes());
            }
        }
        let _named = reader.trouble(*unit, &request);
    }
    let left = reader.received().len();
    assert!(reader.clear().foreign <= left);
}

/// Takes a text as a map or a profile, and the bytes behind its first NUL as the registers.
pub fn map(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0);
    let (text, registers) = input.split_at(end.unwrap_or(input.len()));
    let Some(text) = std::str::from_utf8(text).ok() else {
        return;
    };
    if text.len() > TEXT_BYTES_MAX {
        return;
    }
    let _profile = toml::from_str::<Profile>(text);
    let Ok(file) = toml::from_str::<MapFile>(text) else {
        return;
    };
    let Ok(map) = Map::new("fuzzed", &file, &BTreeMap::new(), &CATALOGUE) else {
        return;
    };
    for block in &map.blocks {
        assert!((1..=block.table.count_max()).contains(&block.count));
        assert!(block.at.checked_add(block.count - 1).is_some());
    }
    let registers = registers.get(1..).unwrap_or_default();
    let data = |block: &Block| {
        let bytes = registers.iter().copied().chain(std::iter::repeat(0));
        let bytes: Vec<u8> = bytes.take(block.data_bytes()).collect();
        Data::new(&bytes)
    };
    let data: Vec<Option<Data>> = map.blocks.iter().map(data).collect();
    let sheet = Sheet {
        blocks: &map.blocks,
        data: &data,
    };
    let decoded = decode(&map, &sheet);
    let counted = decoded.observations.len() + decoded.rejected.len();
    assert_eq!(
        counted,
        map.readings.len(),
        "every reading is a value or a reason"
    );
    for seen in &decoded.observations {
        assert!(seen.value.as_number().is_some_and(f64::is_finite));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Calls for each file of a folder of the kept corpus.
    fn replay(folder: &str, take: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            take(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 5, "{folder} has {count} files");
    }

    #[test]
    fn the_kept_corpus_of_lines_holds() {
        replay("modbus_rtu", super::line);
    }

    #[test]
    fn the_kept_corpus_of_maps_holds() {
        replay("modbus_map", super::map);
    }
}
