//! Password hashes: read strictly when the plugin is configured, so that checking a password cannot
//! fail in any other way than by being wrong.

use std::{fmt, time::Duration};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{
    Engine, alphabet,
    engine::{
        GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{NO_PAD, STANDARD_NO_PAD},
    },
};
use sha_crypt::{PasswordVerifier, ShaCrypt};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A hash that takes longer than this to check is of no use in a proxy.
const MAX_COST: Duration = Duration::from_secs(5);

/// bcrypt looks at no more than this.
const BCRYPT_PASSWORD: usize = 72;

/// Hashes of other makers leave bits in the last letter of the salt that do not count.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD_LENIENT);
const NO_PAD_LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

/// What a user's password is checked against.
#[derive(Clone)]
pub enum PasswordHash {
    /// SHA-256-crypt or SHA-512-crypt, as text; its form is checked.
    ShaCrypt { text: String, rounds: u32 },
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        hash: [u8; 23],
    },
    Argon2id {
        params: Params,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// A clear text password, kept as its digest so that comparing does not tell its length.
    Insecure([u8; 32]),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashError {
    /// A scheme that is too weak or not known; its name.
    Unsupported(String),
    NoScheme,
    Malformed {
        scheme: &'static str,
        problem: &'static str,
    },
    TooDear {
        about: Duration,
    },
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered = "use SHA-512-crypt (`openssl passwd -6`), bcrypt (`htpasswd -B`) or argon2id";
        match self {
            Self::Unsupported(scheme) => write!(
                f,
                "hashes of the kind `{scheme}` are not supported; {offered}"
            ),
            Self::NoScheme => {
                write!(
                    f,
                    "not a password hash, which begins with `$`; {offered}, or `insecure_password` for clear text"
                )
            }
            Self::Malformed { scheme, problem } => write!(f, "a {scheme} hash {problem}"),
            Self::TooDear { about } => {
                write!(
                    f,
                    "a hash that takes about {about:.0?} to check, more than {MAX_COST:?}; make one with a lower cost"
                )
            }
        }
    }
}

impl PasswordHash {
    /// Reads a hash in the format of crypt(3), bcrypt or PHC.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let rest = text.strip_prefix('$').ok_or(HashError::NoScheme)?;
        let (scheme, rest) = rest.split_once('$').ok_or(HashError::NoScheme)?;
        let hash = match scheme {
            "6" => sha_crypt(text, rest, "SHA-512-crypt", 86)?,
            "5" => sha_crypt(text, rest, "SHA-256-crypt", 43)?,
            "2a" | "2b" | "2y" => bcrypt_hash(rest)?,
            "argon2id" => argon2id(rest)?,
            other => return Err(HashError::Unsupported(format!("${other}$"))),
        };
        match hash.cost() {
            about if about > MAX_COST => Err(HashError::TooDear { about }),
            _ => Ok(hash),
        }
    }

    pub fn insecure(password: &str) -> Self {
        Self::Insecure(Sha256::digest(password).into())
    }

    /// Whether this is the password. The time it takes depends on the hash and, for SHA-crypt, on the
    /// length of `password`, but not on how right it is.
    pub fn verify(&self, password: &str) -> bool {
        match self {
            Self::ShaCrypt { text, .. } => ShaCrypt::default()
                .verify_password(password.as_bytes(), text.as_str())
                .is_ok(),
            Self::Bcrypt { cost, salt, hash } => {
                // The function ends a password by a NUL, unless it fills all 72 bytes. One that is longer
                // would pass by its beginning alone, so it is checked in vain.
                let mut key = password.as_bytes().to_vec();
                key.push(0);
                key.truncate(BCRYPT_PASSWORD);
                let output = bcrypt::bcrypt(*cost, *salt, &key);
                let fits = password.len() <= BCRYPT_PASSWORD;
                bool::from(output[..hash.len()].ct_eq(hash)) && fits
            }
            Self::Argon2id { params, salt, hash } => {
                let mut output = vec![0; hash.len()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                argon2
                    .hash_password_into(password.as_bytes(), salt, &mut output)
                    .is_ok()
                    && output.ct_eq(hash).into()
            }
            Self::Insecure(digest) => Sha256::digest(password).ct_eq(digest).into(),
        }
    }

    /// Adds what only those know who know the hash.
    pub fn feed(&self, secrets: &mut Sha256) {
        match self {
            Self::ShaCrypt { text, .. } => secrets.update(text),
            Self::Bcrypt { salt, hash, .. } => {
                secrets.update(salt);
                secrets.update(hash);
            }
            Self::Argon2id { salt, hash, .. } => {
                secrets.update(salt);
                secrets.update(hash);
            }
            Self::Insecure(digest) => secrets.update(digest),
        }
    }

    /// About how long a check takes in the sandbox, on a machine of 2020.
    pub fn cost(&self) -> Duration {
        match self {
            Self::ShaCrypt { rounds, .. } => Duration::from_nanos(1_500) * *rounds,
            Self::Bcrypt { cost, .. } => Duration::from_micros(80) * (1 << cost),
            Self::Argon2id { params, .. } => {
                Duration::from_nanos(2_000) * params.m_cost() * params.t_cost()
            }
            Self::Insecure(_) => Duration::ZERO,
        }
    }
}

impl PasswordHash {
    /// What a check needs, in KiB.
    pub fn memory(&self) -> u32 {
        match self {
            Self::Argon2id { params, .. } => params.m_cost(),
            Self::ShaCrypt { .. } | Self::Bcrypt { .. } | Self::Insecure(_) => 0,
        }
    }
}

impl fmt::Debug for PasswordHash {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShaCrypt { .. } => "ShaCrypt",
            Self::Bcrypt { .. } => "Bcrypt",
            Self::Argon2id { .. } => "Argon2id",
            Self::Insecure(_) => "Insecure",
        })
    }
}

/// `[rounds=N$]SALT$HASH`
fn sha_crypt(
    text: &str,
    rest: &str,
    scheme: &'static str,
    length: usize,
) -> Result<PasswordHash, HashError> {
    let malformed = |problem| Err(HashError::Malformed { scheme, problem });
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        None => (5_000, rest),
        Some(rest) => match rest
            .split_once('$')
            .and_then(|(rounds, rest)| Some((number(rounds)?, rest)))
        {
            Some((rounds @ 1_000..=999_999_999, rest)) => (rounds, rest),
            _ => return malformed("has 1000 to 999999999 rounds"),
        },
    };
    let Some((salt, hash)) = rest.split_once('$') else {
        return malformed("has a salt and, after `$`, the hash itself");
    };
    let is_crypt64 = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
    };
    if salt.is_empty() || salt.len() > 16 || !is_crypt64(salt) {
        return malformed("has a salt of 1 to 16 letters, digits, `.` and `/`");
    }
    if hash.len() != length || !is_crypt64(hash) {
        return malformed("ends in 86 (SHA-512) or 43 (SHA-256) letters, digits, `.` and `/`");
    }
    Ok(PasswordHash::ShaCrypt {
        text: text.to_owned(),
        rounds,
    })
}

/// `COST$SALTHASH`
fn bcrypt_hash(rest: &str) -> Result<PasswordHash, HashError> {
    let malformed = |problem| HashError::Malformed {
        scheme: "bcrypt",
        problem,
    };
    let (cost, rest) = rest
        .split_once('$')
        .ok_or(malformed("has a cost, then `$`"))?;
    let cost = number(cost)
        .filter(|number| cost.len() == 2 && (4..=31).contains(number))
        .ok_or(malformed("has a cost of 04 to 31"))?;
    let (salt, hash) = rest
        .split_at_checked(22)
        .filter(|(_, hash)| hash.len() == 31)
        .ok_or(malformed("ends in 53 characters"))?;
    let decode = |text: &str| {
        BCRYPT_BASE64
            .decode(text)
            .map_err(|_| malformed("is made of letters, digits, `.` and `/`"))
    };
    let sized = malformed("ends in 53 characters");
    Ok(PasswordHash::Bcrypt {
        cost,
        salt: decode(salt)?.try_into().map_err(|_| sized.clone())?,
        hash: decode(hash)?.try_into().map_err(|_| sized)?,
    })
}

/// `v=19$m=19456,t=2,p=1$SALT$HASH`
fn argon2id(rest: &str) -> Result<PasswordHash, HashError> {
    let malformed = |problem| HashError::Malformed {
        scheme: "argon2id",
        problem,
    };
    let fields: Vec<&str> = rest.split('$').collect();
    let ["v=19", params, salt, hash] = fields.as_slice() else {
        return Err(malformed(
            "looks like `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`",
        ));
    };
    let values: Vec<Option<u32>> = params
        .split(',')
        .zip(["m=", "t=", "p="])
        .map(|(param, name)| number(param.strip_prefix(name)?))
        .collect();
    let [Some(memory), Some(passes), Some(lanes)] = values.as_slice() else {
        return Err(malformed("has the parameters m, t and p, in this order"));
    };
    if params.split(',').count() != 3 {
        return Err(malformed("has the parameters m, t and p and no others"));
    }
    let decode = |text: &str| {
        STANDARD_NO_PAD
            .decode(text)
            .map_err(|_| malformed("has its salt and hash in base64"))
    };
    let (salt, hash) = (decode(salt)?, decode(hash)?);
    if salt.len() < 8 || salt.len() > 64 || hash.len() < 16 || hash.len() > 64 {
        return Err(malformed(
            "has a salt of 8 to 64 bytes and a hash of 16 to 64",
        ));
    }
    let params = Params::new(*memory, *passes, *lanes, Some(hash.len()))
        .map_err(|_| malformed("needs t and p of at least 1 and m of at least 8 times p"))?;
    Ok(PasswordHash::Argon2id { params, salt, hash })
}

/// Digits only; `parse` alone would take `+5`.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by `openssl passwd -6`, crypt(3) and `openssl passwd -5`.
    const SHA512: &str = "$6$weirsalt$pUP1h4eUOzsyNSLKP3xjvGoBsiT7uzLaecbpQNuGLD87sCpKUQjWlkI1yQXsFXk300A/X7mERnkVAxQHHWJe//";
    const SHA512_ROUNDS: &str = "$6$rounds=1000$weirsalt$4oaRF1u2asmwZWSNGXduNmlI3P7/VORxlvwdBj7m7JNUyKAk6CBvHXoa8H7OuIEr251W/Jn1yGmrGs0FcsZWe/";
    const SHA256: &str = "$5$weirsalt$ojN6rKRO6imCEpQ5ATmQtwQabzSB8.CbRfGJUlKVrtA";
    /// From the test vectors of crypt_blowfish: the password is `U*U`.
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    /// From the tests of the reference implementation: the password is `password`.
    const ARGON2: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn verify(hash: &str, password: &str) -> bool {
        PasswordHash::parse(hash).unwrap().verify(password)
    }

    fn complaint(hash: &str) -> String {
        PasswordHash::parse(hash).unwrap_err().to_string()
    }

    #[test]
    fn the_right_password_passes_in_every_scheme_and_others_do_not() {
        for (hash, password) in [
            (SHA512, "secret"),
            (SHA512_ROUNDS, "secret"),
            (SHA256, "secret"),
            (BCRYPT, "U*U"),
            (&BCRYPT.replace("$2a$", "$2b$"), "U*U"),
            (&BCRYPT.replace("$2a$", "$2y$"), "U*U"),
            (ARGON2, "password"),
        ] {
            assert!(verify(hash, password), "{hash}");
            for wrong in [
                "", "Secret", "secre", "secret ", "secret1", "secret\0", "U*U*", "u*u",
            ] {
                assert!(!verify(hash, wrong), "{hash} {wrong}");
            }
        }
        assert!(PasswordHash::insecure("p:w").verify("p:w"));
        assert!(!PasswordHash::insecure("p:w").verify("p:w\0"));
        assert!(!PasswordHash::insecure("").verify("x"));
    }

    #[test]
    fn bcrypt_does_not_pass_a_password_by_its_first_72_bytes() {
        // From the test vectors of crypt_blowfish: 72 bytes, then more that is ignored.
        let hash = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
        let password = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        assert_eq!(password.len(), 72);
        assert!(verify(hash, password));
        assert!(!verify(
            hash,
            &format!("{password}chars after 72 are ignored")
        ));
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for hash in [
            "$1$abc$def",
            "$apr1$abc$def",
            "$y$j9T$abc$def",
            "$2x$05$abc",
            "$argon2i$v=19$x",
            "$7$x",
        ] {
            let scheme = hash.split('$').nth(1).unwrap_or_default();
            assert!(complaint(hash).starts_with(&format!(
                "hashes of the kind `${scheme}$` are not supported"
            )));
        }
        for hash in ["", "secret", "{SHA}abc", "abJnggxhB/yWI", "$6"] {
            assert!(complaint(hash).starts_with("not a password hash"), "{hash}");
        }
    }

    #[test]
    fn a_hash_with_a_part_missing_or_bent_is_refused() {
        for (hash, problem) in [
            ("$6$salt", "has a salt and"),
            ("$6$$x", "has a salt of 1"),
            ("$6$saltsaltsaltsalts$x", "has a salt of 1"),
            ("$6$salt$short", "ends in 86"),
            ("$6$rounds=999$salt$x", "has 1000 to 999999999 rounds"),
            ("$6$rounds=+5000$salt$x", "has 1000 to 999999999 rounds"),
            (
                "$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                "cost of 04 to 31",
            ),
            (
                "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                "cost of 04 to 31",
            ),
            (
                "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
                "53 characters",
            ),
            (
                "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO+W",
                "made of letters",
            ),
            ("$argon2id$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "looks like"),
            (
                "$argon2id$v=19$m=8,t=1$c2FsdHNhbHQ$aGFzaA",
                "parameters m, t and p",
            ),
            (
                "$argon2id$v=19$m=8,t=1,p=1,x=1$c2FsdHNhbHQ$aGFzaA",
                "no others",
            ),
            ("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "salt of 8"),
            (
                "$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
                "at least 1",
            ),
        ] {
            assert!(
                complaint(hash).contains(problem),
                "{hash}: {}",
                complaint(hash)
            );
        }
    }

    #[test]
    fn a_hash_that_would_hold_up_the_proxy_is_refused() {
        let dear = BCRYPT.replace("$05$", "$20$");
        assert!(complaint(&dear).contains("make one with a lower cost"));
        assert!(
            complaint(&SHA512.replacen("$6$", "$6$rounds=900000000$", 1)).contains("lower cost")
        );
        assert!(PasswordHash::parse(&BCRYPT.replace("$05$", "$12$")).is_ok());
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        assert_eq!(
            format!("{:?}", PasswordHash::parse(BCRYPT).unwrap()),
            "Bcrypt"
        );
        assert_eq!(
            format!("{:?}", PasswordHash::insecure("secret")),
            "Insecure"
        );
    }
}
