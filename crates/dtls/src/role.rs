//! Who is DTLS client and who is server: decided here and nowhere else (RFC 5763 section 5,
//! RFC 8842 sections 4 and 5), for first offers, answers, re-offers, ICE restarts and glare.

use std::fmt;
use std::str::FromStr;

/// The end of a DTLS association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the ClientHello (`a=setup:active`).
    Client,
    /// Waits for it (`a=setup:passive`).
    Server,
}

impl Role {
    /// The other end.
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// What an answer says for this role of its sender.
    pub fn setup(self) -> Setup {
        match self {
            Self::Client => Setup::Active,
            Self::Server => Setup::Passive,
        }
    }

    /// Decides our role from the two `a=setup` values that are in effect.
    ///
    /// `existing` is the role in the association that already runs, if one does: an offer/answer
    /// exchange that keeps the fingerprints must keep the roles too (RFC 8842 section 5.5). In glare
    /// only the exchange that is finally completed is passed in, so both ends see the same pair.
    pub fn decide(
        side: Side,
        offer: Setup,
        answer: Setup,
        existing: Option<Self>,
    ) -> Result<Self, SetupError> {
        let answerer = match (offer, answer) {
            (Setup::ActPass | Setup::Passive, Setup::Active) => Self::Client,
            (Setup::ActPass | Setup::Active, Setup::Passive) => Self::Server,
            (Setup::Active, Setup::Active)
            | (Setup::Passive, Setup::Passive)
            | (_, Setup::ActPass | Setup::HoldConn)
            | (Setup::HoldConn, _) => return Err(SetupError::Impossible { offer, answer }),
        };
        let role = match side {
            Side::Answerer => answerer,
            Side::Offerer => answerer.peer(),
        };
        match existing {
            Some(existing) if existing != role => Err(SetupError::RoleChanged {
                existing,
                asked: role,
            }),
            Some(_) | None => Ok(role),
        }
    }
}

/// `a=setup` (RFC 4145 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Will be client.
    Active,
    /// Will be server.
    Passive,
    /// Leaves it to the answer.
    ActPass,
    /// Wants no connection for now; not used in WebRTC.
    HoldConn,
}

impl Setup {
    /// What every offer says, re-offers included (RFC 8842 section 5.3, RFC 8829 section 5.2.1).
    pub const OFFER: Self = Self::ActPass;

    /// What we answer to `offer`: the role that already runs if there is one, else `preferred`
    /// ([`Role::Client`] saves the HelloVerifyRequest round trip).
    pub fn answer_to(
        offer: Self,
        existing: Option<Role>,
        preferred: Role,
    ) -> Result<Self, SetupError> {
        let wanted = match offer {
            Self::ActPass => existing.unwrap_or(preferred),
            Self::Active => Role::Server,
            Self::Passive => Role::Client,
            Self::HoldConn => {
                return Err(SetupError::Impossible {
                    offer,
                    answer: Self::HoldConn,
                });
            }
        };
        let answer = wanted.setup();
        Role::decide(Side::Answerer, offer, answer, existing)?;
        Ok(answer)
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        })
    }
}

impl FromStr for Setup {
    type Err = SetupError;

    fn from_str(value: &str) -> Result<Self, SetupError> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.to_string().eq_ignore_ascii_case(value))
            .ok_or_else(|| SetupError::Unknown(value.chars().take(MAX_QUOTED).collect()))
    }
}

/// Which part we have in the offer/answer exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We made the offer.
    Offerer,
    /// We made the answer.
    Answerer,
}

/// No role follows from the `a=setup` values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The value is not one of RFC 4145's four.
    #[error("unknown a=setup value {0:?}")]
    Unknown(String),
    /// The two values leave no client and no server.
    #[error("a=setup:{offer} cannot be answered with a=setup:{answer}")]
    Impossible {
        /// What the offer says.
        offer: Setup,
        /// What the answer says.
        answer: Setup,
    },
    /// The running association has the other role.
    #[error("a=setup asks for the role {asked:?} but the running association is {existing:?}")]
    RoleChanged {
        /// Our role now.
        existing: Role,
        /// Our role by the new values.
        asked: Role,
    },
}

/// How much of a foreign value an error repeats.
const MAX_QUOTED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Setup; 4] = [
        Setup::Active,
        Setup::Passive,
        Setup::ActPass,
        Setup::HoldConn,
    ];

    /// Every pair of values: two ends never get the same role, and a pair that leaves no client
    /// is an error instead of a silent hang.
    #[test]
    fn every_pair() {
        for offer in ALL {
            for answer in ALL {
                let ours = Role::decide(Side::Offerer, offer, answer, None);
                let theirs = Role::decide(Side::Answerer, offer, answer, None);
                match (ours, theirs) {
                    (Ok(a), Ok(b)) => assert_eq!(a, b.peer(), "{offer} {answer}"),
                    (Err(a), Err(b)) => assert_eq!(a, b),
                    mixed => panic!("{offer} {answer}: {mixed:?}"),
                }
            }
        }
        assert_eq!(
            Role::decide(Side::Offerer, Setup::ActPass, Setup::Active, None),
            Ok(Role::Server)
        );
        assert_eq!(
            Role::decide(Side::Answerer, Setup::Active, Setup::Active, None),
            Err(SetupError::Impossible {
                offer: Setup::Active,
                answer: Setup::Active
            })
        );
    }

    /// A re-offer from either side, also after an ICE restart, keeps the roles.
    #[test]
    fn reoffer_keeps_the_role() {
        for existing in [Role::Client, Role::Server] {
            let answer = Setup::answer_to(Setup::ActPass, Some(existing), existing.peer()).unwrap();
            assert_eq!(answer, existing.setup());
            assert_eq!(
                Role::decide(Side::Answerer, Setup::ActPass, answer, Some(existing)),
                Ok(existing)
            );
            assert_eq!(
                Role::decide(Side::Offerer, Setup::ActPass, answer, Some(existing)),
                Err(SetupError::RoleChanged {
                    existing,
                    asked: existing.peer()
                })
            );
            assert!(Setup::answer_to(existing.setup(), Some(existing), Role::Client).is_err());
        }
    }

    /// A definite offer decides whatever we would prefer.
    #[test]
    fn definite_offers() {
        for preferred in [Role::Client, Role::Server] {
            assert_eq!(
                Setup::answer_to(Setup::Active, None, preferred),
                Ok(Setup::Passive)
            );
            assert_eq!(
                Setup::answer_to(Setup::Passive, None, preferred),
                Ok(Setup::Active)
            );
            assert_eq!(
                Setup::answer_to(Setup::ActPass, None, preferred),
                Ok(preferred.setup())
            );
            assert!(Setup::answer_to(Setup::HoldConn, None, preferred).is_err());
        }
    }

    /// Parsing is case-insensitive as in SDP attribute values of RFC 4145, and names what it refuses.
    #[test]
    fn parsing() {
        for setup in ALL {
            assert_eq!(setup.to_string().to_uppercase().parse(), Ok(setup));
        }
        assert_eq!(
            "both".parse::<Setup>(),
            Err(SetupError::Unknown("both".into()))
        );
    }
}
