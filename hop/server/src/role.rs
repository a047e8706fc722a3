use crate::{ConfigError, Environment};

/// What a server is: `SERVER_ROLE` asserts it, so that no server starts in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The public web host.
    Web,
    /// The protected services platform.
    Services,
    /// Services on a temporary disk on loopback, for trying things.
    Testing,
}

impl Role {
    /// The word for it in `SERVER_ROLE`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Services => "services",
            Self::Testing => "testing",
        }
    }

    /// The role that the environment names, which must be one that this server has.
    pub fn of(this: Self, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let found = environment("SERVER_ROLE").unwrap_or_default();
        match (this, found.as_str()) {
            (_, "") => Err(ConfigError::Missing {
                name: "SERVER_ROLE",
                advice: match this {
                    Self::Web => "set it to `web`, so that no server starts in the wrong place",
                    _ => "set it to `services`, so that no server starts in the wrong place",
                },
            }),
            (Self::Web, "web") => Ok(Self::Web),
            (Self::Services, "services") => Ok(Self::Services),
            (Self::Services, "testing") => Ok(Self::Testing),
            (Self::Web, _) => Err(ConfigError::Role {
                found,
                this: "the web host",
                wanted: "web",
                other: "portcullis-services",
            }),
            _ => Err(ConfigError::Role {
                found,
                this: "the services platform",
                wanted: "services",
                other: "portcullis-web",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_only_in_its_own_role() {
        let role = |this, word: &str| {
            let word = word.to_owned();
            Role::of(this, &move |_| (!word.is_empty()).then(|| word.clone()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(role(Role::Web, "web"), Ok(Role::Web));
        assert_eq!(role(Role::Services, "services"), Ok(Role::Services));
        assert_eq!(role(Role::Services, "testing"), Ok(Role::Testing));
        for (this, word, says) in [
            (Role::Web, "", "SERVER_ROLE is not set; set it to `web`"),
            (Role::Web, "services", "start portcullis-services instead"),
            (Role::Services, "web", "start portcullis-web instead"),
        ] {
            let error = role(this, word).expect_err("is refused");
            assert!(error.contains(says), "{error}");
        }
    }
}
