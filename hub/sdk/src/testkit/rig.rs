//! What fuzzers, benches and the kept corpus do with a talk, and what must hold of it.

use crate::{Context, Conversation, Line, Step, Talk, converse};
use bytes::BytesMut;
use model::Timestamp;
use std::path::Path;
use std::pin::Pin;
use tokio::io::DuplexStream;

/// Answers that one frame may be worth, without a byte being taken between them.
const ANSWERS_MAX: usize = 64;

/// One connection without a socket, at an instant that stands still: from bytes to submissions.
#[derive(Debug)]
pub struct Rig<T> {
    talk: T,
    now: Timestamp,
}

impl<T: Talk> Rig<T> {
    pub fn new(talk: T, now: Timestamp) -> Self {
        Self { talk, now }
    }

    /// Takes all that is whole and gives how many values it had; each is counted once.
    pub fn take(&mut self, received: &mut BytesMut) -> usize {
        let (mut values, mut answers) = (0, 0);
        loop {
            let before = received.len();
            let Some(step) = self.talk.next(received, self.now) else {
                return values;
            };
            match &step {
                Step::Say(_) if received.len() == before => answers += 1,
                _ => answers = 0,
            }
            assert!(
                received.len() < before || (1..ANSWERS_MAX).contains(&answers),
                "a step takes something"
            );
            if let Step::Commit { submission, .. } = step {
                for part in submission.parts {
                    let counted = part.observations.len() + part.rejected.len();
                    assert_eq!(
                        part.received as usize, counted,
                        "each value is counted once"
                    );
                    values += counted;
                }
            }
        }
    }

    /// Takes a stream in two pieces, and gives how many values it had.
    fn take_cut(&mut self, (first, rest): (&[u8], &[u8])) -> usize {
        let mut received = BytesMut::from(first);
        let values = self.take(&mut received);
        received.extend_from_slice(rest);
        values + self.take(&mut received)
    }
}

/// The first byte of an input says where the stream behind it is cut.
fn cut(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (at, stream) = input.split_first()?;
    Some(stream.split_at(usize::from(*at).min(stream.len())))
}

/// Takes one input of a fuzzer to its end.
pub fn attack<T: Talk>(rig: impl Fn() -> Rig<T>, input: &[u8]) {
    if let Some(cut) = cut(input) {
        rig().take_cut(cut);
    }
}

/// Takes every input that is kept in `tests/corpus/<folder>`: however it is cut, as many values are
/// counted.
pub fn replay<T: Talk>(folder: &str, rig: impl Fn() -> Rig<T>) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let files = std::fs::read_dir(corpus.join(folder)).expect("the corpus is in the repository");
    let mut count = 0;
    for file in files {
        let path = file.expect("the folder can be read").path();
        let input = std::fs::read(&path).expect("the file can be read");
        if let Some((first, rest)) = cut(&input) {
            let whole = [first, rest].concat();
            let values = rig().take(&mut BytesMut::from(whole.as_slice()));
            assert_eq!(rig().take_cut((first, rest)), values, "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 10, "{folder} has {count} inputs");
}

/// Serves one connection as [`crate::serve`] does, over a pipe.
pub fn hold<T: Talk + 'static>(
    stream: DuplexStream,
    cx: Context,
    limits: Conversation,
    make: impl FnOnce(Line) -> T,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (line, orders) = cx.downlink.line();
    let talk = (make(line), orders);
    Box::pin(converse(stream, "peer".to_owned(), talk, limits, cx))
}
