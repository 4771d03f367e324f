//! Our resampler beside the sinc resamplers of `rubato`, on the same sound.
//!
//! What each adds to a tone, how late it is, what a frame costs and whether it
//! allocates; all measured from what comes out. See `--help`.

mod contestant;
mod measure;
mod report;

use contestant::Contestant;

fn main() {
    let json = std::env::var_os("JSON").is_some_and(|value| value == "1");
    if let Some(argument) = std::env::args().nth(1) {
        if argument == "--help" || argument == "-h" {
            print!("{HELP}");
            return;
        }
        eprintln!("unknown argument {argument:?}; see --help");
        std::process::exit(2);
    }
    let rows: Vec<_> = Contestant::all().iter().map(report::Row::measure).collect();
    if json { report::print_json(&rows) } else { report::print_table(&rows) }
}

const HELP: &str = "\
Compares resamplers near a ratio of one, mono f32 at 48 kHz, blocks of 960 frames.

    cargo run --release            a table
    JSON=1 cargo run --release     one JSON object

  SNR      power of a tone over all else that comes out, its level fitted; the
           worst of ±100 ppm, ±500 ppm and ±1 %, in dB
  spur     the strongest line beside the tone, the worst of the same; dB
  gain     what becomes of the level of the tone, the worst of the same; dB
  step     the largest sixth difference of a tone of 997 Hz while the ratio steps
           by 100 ppm to 1 %, over the amplitude; the tone itself has -106 dB,
           and rounded to f32 some -99
  latency  input frames from one going in to it coming out, with what is read ahead
  ns       per frame, the fastest of 9 runs of a second of sound, at +100 ppm
  allocs   in 100 blocks after the first 100
";
