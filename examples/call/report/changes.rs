//! Changes of the host, of all who saw them.

use std::collections::BTreeMap;

use paceline::playout::terminal::sanitize;
use paceline::types::Epoch;
use serde_json::{Map, Value, json};

use super::{later, round, show};
use crate::changes::Change;

/// Each change once, by its epoch; of each figure the worst that anybody had.
#[derive(Debug, Default)]
pub(crate) struct HostChanges(BTreeMap<Epoch, Change>);

impl HostChanges {
    /// Adds what one more saw of them.
    pub(crate) fn merge(&mut self, changes: &[Change]) {
        for one in changes {
            let Some(all) = self.0.get_mut(&one.epoch) else {
                self.0.insert(one.epoch, one.clone());
                continue;
            };
            // One who was not told that it was planned has lost his host.
            all.planned &= one.planned;
            all.closed &= one.closed;
            for (all, one) in [(&mut all.from, &one.from), (&mut all.to, &one.to)] {
                if all.is_none() {
                    all.clone_from(one);
                }
            }
            for (all, one) in all.spans_mut().into_iter().zip(one.spans()) {
                *all = later(*all, one);
            }
            all.frames_lost = all.frames_lost.max(one.frames_lost);
            all.samples_lost = all.samples_lost.max(one.samples_lost);
            all.decoder_resets = all.decoder_resets.max(one.decoder_resets);
        }
    }

    /// Adds what one who was killed had told: of what he did not see to its end, the others
    /// tell.
    pub(crate) fn merge_closed(&mut self, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.closed) {
            self.merge(std::slice::from_ref(change));
        }
    }

    /// As they are told at the end.
    pub(crate) fn json(&self) -> Value {
        let changes = self.0.values().map(Change::known).map(|change| {
            let [video, audio, detect, promote, _] = change.spans().map(|ms| ms.map(round));
            json!({
                "kind": kind(&change),
                "epoch": change.epoch.to_string(),
                "from": change.from,
                "to": change.to,
                "closed": change.closed,
                "gap_ms": { "video": video, "audio": audio },
                "video_frames_lost": change.frames_lost,
                "audio_samples_lost": change.samples_lost,
                "decoder_resets": change.closed.then_some(change.decoder_resets),
                "detect_ms": detect,
                "promote_ms": promote,
            })
        });
        changes.collect()
    }

    /// A line for each, for a person.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.values().map(Change::known).map(|change| {
            let name = |name: &Option<String>| {
                name.as_deref().map_or_else(|| "?".to_owned(), |name| sanitize(name, 64))
            };
            let count = |count: Option<u64>| {
                count.map_or_else(|| "?".to_owned(), |count| count.to_string())
            };
            let took = match change.planned {
                true => String::new(),
                false => format!(
                    "; noticed after {} ms, another elected after {} more",
                    show(change.detect),
                    show(change.promote)
                ),
            };
            format!(
                "  new host    {} after {} ({}): {} pictures and {} samples lost, sound away for \
                 {} ms{took}",
                name(&change.to),
                name(&change.from),
                kind(&change),
                count(change.frames_lost),
                count(change.samples_lost),
                show(change.audio_gap),
            )
        })
    }

    /// Each of them, in the order of their epochs.
    pub(crate) fn all(&self) -> Vec<Change> {
        self.0.values().cloned().collect()
    }

    /// The only one of an epoch, if anybody saw it.
    pub(crate) fn of(&self, epoch: Epoch) -> Option<&Change> {
        self.0.get(&epoch)
    }
}

impl Change {
    /// Without what is not known before the time that is looked at has gone by: that nothing
    /// was missing until then is no figure.
    fn known(&self) -> Self {
        let mut known = self.clone();
        if !self.closed {
            known.video_gap = None;
            known.audio_gap = None;
            known.frames_lost = None;
            known.samples_lost = None;
            known.audio_beyond = None;
        }
        known
    }

    /// Milliseconds: of the picture, the sound, the doubt, the election, and of the sound
    /// beyond the doubt.
    pub(crate) fn spans(&self) -> [Option<f64>; 5] {
        [self.video_gap, self.audio_gap, self.detect, self.promote, self.audio_beyond]
    }

    fn spans_mut(&mut self) -> [&mut Option<f64>; 5] {
        [
            &mut self.video_gap,
            &mut self.audio_gap,
            &mut self.detect,
            &mut self.promote,
            &mut self.audio_beyond,
        ]
    }
}

fn kind(change: &Change) -> &'static str {
    if change.planned { "planned" } else { "crash" }
}

/// What one process tells another of them.
pub(crate) fn raw(changes: &[Change]) -> Value {
    let changes = changes.iter().map(|change| {
        json!({
            "epoch": change.epoch.to_bits(),
            "planned": change.planned,
            "closed": change.closed,
            "from": change.from,
            "to": change.to,
            "spans": change.spans(),
            "frames_lost": change.frames_lost,
            "samples_lost": change.samples_lost,
            "decoder_resets": change.decoder_resets,
        })
    });
    changes.collect()
}

/// What another process has told, the other way round; what is no change is left out.
pub(crate) fn of_raw(raw: &Value) -> Vec<Change> {
    let change = |raw: &Map<String, Value>| {
        let text = |name: &str| raw.get(name)?.as_str().map(str::to_owned);
        let count = |name: &str| raw.get(name)?.as_u64();
        let is = |name: &str| raw.get(name) == Some(&Value::Bool(true));
        let mut change = Change {
            epoch: Epoch::from_bits(count("epoch")?),
            planned: is("planned"),
            closed: is("closed"),
            from: text("from"),
            to: text("to"),
            frames_lost: count("frames_lost"),
            samples_lost: count("samples_lost"),
            decoder_resets: count("decoder_resets")?,
            ..Change::default()
        };
        for (at, ms) in change.spans_mut().into_iter().zip(raw.get("spans")?.as_array()?) {
            *at = ms.as_f64();
        }
        Some(change)
    };
    let all = raw.as_array().into_iter().flatten().filter_map(Value::as_object);
    all.filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(term: u64, video: Option<f64>, lost: Option<u64>) -> Change {
        Change {
            epoch: Epoch::new(term, 0),
            from: Some("Ada".into()),
            video_gap: video,
            audio_gap: Some(20.0),
            frames_lost: lost,
            samples_lost: Some(960),
            closed: true,
            ..Change::default()
        }
    }

    #[test]
    fn the_worst_that_anybody_had_is_told_once_for_each_change() {
        let mut all = HostChanges::default();
        all.merge(&[change(2, Some(500.04), Some(14)), change(3, None, None)]);
        let to = Some("Ben".to_owned());
        let ben = Change { to, audio_gap: None, ..change(2, Some(400.0), Some(15)) };
        all.merge(&[ben]);
        all.merge(&[Change { planned: true, ..change(4, Some(0.0), Some(0)) }]);
        let told = all.json();
        assert_eq!(
            told[0],
            json!({
                "kind": "crash", "epoch": "2.0", "from": "Ada", "to": "Ben", "closed": true,
                "gap_ms": { "video": 500.0, "audio": 20.0 },
                "video_frames_lost": 15, "audio_samples_lost": 960, "decoder_resets": 0,
                "detect_ms": null, "promote_ms": null,
            })
        );
        assert_eq!(
            (&told[1]["gap_ms"]["video"], &told[2]["kind"]),
            (&Value::Null, &"planned".into())
        );
        assert_eq!(told.as_array().map(Vec::len), Some(3));
        assert_eq!(all.lines().count(), 3);
    }

    #[test]
    fn what_was_not_looked_at_to_its_end_is_not_told() {
        let part = Change {
            closed: false,
            detect: Some(300.0),
            decoder_resets: 1,
            ..change(2, Some(0.0), Some(0))
        };
        let mut all = HostChanges::default();
        all.merge(&[change(2, Some(33.0), Some(1))]);
        // One who was killed meanwhile says nothing against it.
        all.merge_closed(std::slice::from_ref(&part));
        assert_eq!(
            (&all.json()[0]["closed"], &all.json()[0]["detect_ms"]),
            (&true.into(), &json!(null))
        );
        assert_eq!(all.json()[0]["gap_ms"]["video"], 33.0);
        // One who stayed may yet have the worst of it.
        all.merge(&[part]);
        let told = all.json();
        let told = &told[0];
        assert_eq!(told["closed"], false);
        assert_eq!(told["gap_ms"], json!({ "video": null, "audio": null }));
        for count in ["video_frames_lost", "audio_samples_lost", "decoder_resets"] {
            assert_eq!(told[count], Value::Null, "{count}");
        }
        assert_eq!(told["detect_ms"], 300.0);
        let text = all.lines().collect::<String>();
        assert!(text.contains("? pictures and ? samples lost"), "{text}");
    }

    #[test]
    fn a_process_understands_what_another_says_of_a_change() {
        let spans = Change {
            planned: true,
            detect: Some(301.5),
            promote: Some(12.0),
            audio_beyond: Some(0.5),
            decoder_resets: 1,
            ..change(7, Some(33.0), None)
        };
        let all = vec![change(2, None, Some(3)), spans];
        assert_eq!(of_raw(&raw(&all)), all);
        for nonsense in [json!(null), json!([1, {}, { "epoch": "x" }]), json!({ "epoch": 1 })] {
            assert_eq!(of_raw(&nonsense), []);
        }
    }
}
