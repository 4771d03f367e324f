//! Every body on its corpus: what was ever found stays found, and the corpus goes on
//! reaching what it reached.

use std::fs;
use std::path::Path;

use paceline_fuzz::TARGETS;

#[test]
fn every_target_takes_its_corpus() {
    for (name, body) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        assert!(!inputs.is_empty(), "{} is empty", folder.display());
        for input in inputs {
            println!("{}", input.display());
            body(&fs::read(&input).expect("a readable file"));
        }
    }
}
