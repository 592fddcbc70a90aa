//! Thresholds and weights of matching, as the configuration changes them.

use serde::{Deserialize, Serialize};

use super::model::{Field, Grade, LEVELS, Level};

/// How patients are matched by what is known of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From this probability on a match is certain.
    pub certain: f64,
    /// From this probability on a match is probable.
    pub probable: f64,
    /// From this probability on a match is possible; below, it is not told.
    pub possible: f64,
    /// How many people the domain may come to know; the actual number counts if it is larger.
    pub people: u64,
    /// Candidates that are compared for one question at most.
    pub max_candidates: u32,
    /// A blocking key that more records share is not looked through.
    pub max_per_key: u32,
    /// Weights other than the built-in ones.
    pub weights: Vec<Weight>,
}

/// A weight other than the built-in one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The field, e.g. `given`.
    pub field: String,
    /// The level, e.g. `similar`.
    pub level: String,
    /// Bits against a stranger.
    pub stranger: f64,
    /// Bits against a relative.
    pub relative: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            certain: 0.999,
            probable: 0.9,
            possible: 0.1,
            people: 100_000,
            max_candidates: 500,
            max_per_key: 200,
            weights: Vec::new(),
        }
    }
}

impl Settings {
    /// What contradicts itself, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rising = 0.0 < self.possible && self.possible < self.probable && self.probable < self.certain;
        if !rising || self.certain >= 1.0 {
            return Err(
                "match.possible, match.probable and match.certain must rise, above 0 and below 1".to_owned()
            );
        }
        if self.max_candidates == 0 || self.max_per_key == 0 || self.people == 0 {
            return Err(
                "match.people, match.max_candidates and match.max_per_key are 1 at least; with 0 nobody is found"
                    .to_owned(),
            );
        }
        for (index, weight) in self.weights.iter().enumerate() {
            let same = |other: &Weight| (&other.field, &other.level) == (&weight.field, &weight.level);
            if self.weights[..index].iter().any(same) {
                let Weight { field, level, .. } = weight;
                return Err(format!("match.weights: {field}/{level} is given twice"));
            }
            let known =
                LEVELS.iter().any(|level| level.field.word() == weight.field && level.level == weight.level);
            if !known {
                let accepted: Vec<String> =
                    LEVELS.iter().map(|level| format!("{}/{}", level.field.word(), level.level)).collect();
                let Weight { field, level, .. } = weight;
                return Err(format!(
                    "match.weights: there is no field '{field}' with level '{level}'; accepted are {}",
                    accepted.join(", ")
                ));
            }
            if !(weight.stranger.abs() <= 99.0 && weight.relative.abs() <= 99.0) {
                return Err("match.weights: a weight is between -99 and 99 bits".to_owned());
            }
        }
        Ok(())
    }

    /// A level with its weights.
    pub(crate) fn level(&self, field: Field, level: &str) -> Option<Level> {
        let built_in = LEVELS.iter().find(|known| known.field == field && known.level == level)?;
        let changed =
            self.weights.iter().find(|weight| weight.field == field.word() && weight.level == level);
        Some(match changed {
            Some(weight) => Level { stranger: weight.stranger, relative: weight.relative, ..*built_in },
            None => *built_in,
        })
    }

    /// The grade of a probability.
    pub(crate) fn grade(&self, score: f64) -> Grade {
        match score {
            score if score >= self.certain => Grade::Certain,
            score if score >= self.probable => Grade::Probable,
            score if score >= self.possible => Grade::Possible,
            _ => Grade::CertainlyNot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_that_does_not_exist_is_refused_with_those_that_do() {
        let weight = |field: &str, level: &str| Weight {
            field: field.to_owned(),
            level: level.to_owned(),
            stranger: -1.0,
            relative: -1.0,
        };
        let with = |weight| Settings { weights: vec![weight], ..Settings::default() };
        assert_eq!(with(weight("given", "similar")).check(), Ok(()));
        let why = with(weight("given", "simlar")).check().expect_err("is not a level");
        assert!(why.contains("given/similar"), "{why}");
        let twice = Settings {
            weights: vec![weight("given", "similar"), weight("given", "similar")],
            ..Settings::default()
        };
        assert!(twice.check().expect_err("contradicts itself").contains("given/similar is given twice"));
        let nobody = Settings { max_candidates: 0, ..Settings::default() };
        assert!(nobody.check().expect_err("finds nobody").contains("match.max_candidates"));
        let falling = Settings { probable: 0.05, ..Settings::default() };
        assert!(falling.check().is_err());
    }
}
