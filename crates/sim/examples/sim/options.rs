//! What was asked for.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use paceline_migration::MigrationConfig;
use paceline_sim::Recovery;
use paceline_sim::kills::Profile;

/// What was asked for on the command line.
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) minutes: u64,
    /// Hosts to kill, of each profile.
    pub(crate) kills: Option<usize>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) json: bool,
    pub(crate) trace: bool,
    pub(crate) plot: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            seed: 1,
            minutes: 10,
            kills: None,
            profiles: Profile::all(),
            json: false,
            trace: false,
            plot: None,
        };
        let mut config = MigrationConfig::default();
        let mut recovery = Recovery::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--json" => options.json = true,
                "--trace" => options.trace = true,
                "--help" => return Err(HELP.into()),
                _ => {
                    let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
                    match arg.as_str() {
                        "--seed" => options.seed = number(&arg, &value)?,
                        "--minutes" => options.minutes = number(&arg, &value)?,
                        "--kills" => options.kills = Some(number(&arg, &value)?),
                        "--profile" => options.profiles = vec![profile(&value)?],
                        "--plot" => options.plot = Some(value.into()),
                        "--mutant" => config = mutant(config, &value)?,
                        "--lease" => config = config.lease(millis(&arg, &value)?),
                        "--renewal" => config = config.renewal(millis(&arg, &value)?),
                        "--suspicion" => config = config.suspicion(millis(&arg, &value)?),
                        "--stagger" => config = config.stagger(millis(&arg, &value)?),
                        "--retry" => config = config.retry(millis(&arg, &value)?),
                        "--rto-min" => {
                            recovery = Recovery::Sctp { rto_min: millis(&arg, &value)? };
                        }
                        _ => return Err(format!("{arg} is unknown\n{HELP}").into()),
                    }
                }
            }
        }
        for profile in &mut options.profiles {
            *profile = profile.clone().migration(config.clone()).recovery(recovery);
        }
        Ok(options)
    }
}

fn number<T: FromStr>(arg: &str, value: &str) -> Result<T, Box<dyn Error>> {
    value.parse().map_err(|_| format!("{arg} needs a number, and {value} is none").into())
}

fn millis(arg: &str, value: &str) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::from_millis(number(arg, value)?))
}

fn profile(name: &str) -> Result<Profile, Box<dyn Error>> {
    let names: Vec<_> = Profile::all().iter().map(Profile::name).collect();
    let unknown = || format!("no profile is called {name}: there are {}", names.join(", ")).into();
    Profile::named(name).ok_or_else(unknown)
}

#[cfg(not(feature = "__mutants"))]
fn mutant(_: MigrationConfig, _: &str) -> Result<MigrationConfig, Box<dyn Error>> {
    Err("mutants are built with --features __mutants only".into())
}

#[cfg(feature = "__mutants")]
fn mutant(config: MigrationConfig, name: &str) -> Result<MigrationConfig, Box<dyn Error>> {
    use paceline_migration::Mutant;
    let mutant = match name {
        "no-quorum" => Mutant::NoQuorum,
        "no-fence" => Mutant::NoFence,
        "no-self-fencing" => Mutant::NoSelfFencing,
        "vote-amnesia" => Mutant::VoteAmnesia,
        _ => return Err(format!("no mutant is called {name}").into()),
    };
    Ok(config.mutant(mutant))
}

const HELP: &str = "\
three people talk:     --minutes N  --seed N
hosts are killed:      --kills N (of each profile)  --seed N  --profile NAME  --json  --plot FILE
one room in text:      --kills 1..3  --seed N  --profile NAME  --trace
settings, in ms:       --lease  --renewal  --suspicion  --stagger  --retry
losses as RFC 9260:    --rto-min (1000 is the engine's)
a machine without one
of its rules:          --mutant no-quorum|no-fence|no-self-fencing|vote-amnesia";
