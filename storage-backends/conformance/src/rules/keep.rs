//! What is kept beside messages.

use dunlin_api::{SourcePosition, SourcePositions};

use crate::{Make, Stand};

/// Whatever its length.
pub fn metadata_is_replaced_as_a_whole(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(stand.metadata(), b"");
    for metadata in [b"{\"a\":1}".as_slice(), b"{}", &[7; 100_000], b""] {
        stand.set_metadata(metadata).unwrap();
        assert_eq!(stand.metadata(), metadata);
        assert_eq!(stand.state().messages, 0);
    }
}

/// A store either keeps them or says that it has kept none. [STORE-61]
pub fn source_positions_are_kept_or_owned_up_to(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(stand.sources(), SourcePositions::default());
    stand.fill(&["a", "b"]);
    let position = |name: &str, sequence| SourcePosition {
        name: name.to_owned(),
        sequence,
        identity: "id".to_owned(),
    };
    stand
        .set_sources(&[position("O > ", 4), position("P > ", 0)])
        .unwrap();
    let check = |stand: &Stand| {
        let mut kept = stand.sources();
        if kept.before == 0 {
            assert_eq!(kept.sources, []);
            return;
        }
        kept.sources.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(kept.before, 3);
        assert_eq!(kept.sources, [position("O > ", 4), position("P > ", 0)]);
    };
    check(&stand);
    if stand.is_durable() {
        let kept = stand.sources().before;
        stand.reopen();
        assert_eq!(stand.sources().before, kept);
        check(&stand);
    }
    stand.set_sources(&[]).unwrap();
    assert_eq!(stand.sources().sources, []);
}
