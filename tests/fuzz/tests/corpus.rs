//! The corpora, without a fuzzer.

use std::fs;
use std::path::Path;

#[test]
fn every_target_takes_its_whole_corpus() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in fuzz_targets::TARGETS {
        let files = fs::read_dir(corpora.join(name)).unwrap().map(|file| file.unwrap().path());
        let count =
            files.inspect(|file| println!("{}", file.display())).map(|file| target(&fs::read(file).unwrap())).count();
        assert!(count > 0, "corpus/{name} is empty");
    }
    assert_eq!(fs::read_dir(&corpora).unwrap().count(), fuzz_targets::TARGETS.len(), "a corpus without a target");
}
