//! Names that a configuration comes to need: of maps, one for each file and way to match, of tables of
//! counters, and of the variables that hold who has logged in.

use crate::weir::Table;

use super::{facts::Reason, live::Proxies, log_format::Captures, tables::Tables};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapMatching {
    Exact,
    Prefix,
    Cidr,
}

impl MapMatching {
    fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Cidr => "cidr",
        }
    }
}

#[derive(Debug, Default)]
pub struct Maps {
    maps: Vec<(String, String, MapMatching)>,
    /// The first user list of the file: its users are in the variables `user` and `groups`.
    pub first_userlist: Option<String>,
    /// Where relative paths begin, if the file says so.
    pub start: Option<String>,
    pub tables: Tables,
    pub proxies: Proxies,
    pub captures: Captures,
}

impl Maps {
    /// What follows `user` and `groups` in the names of the variables that hold who has logged in.
    pub fn list_suffix(&self, list: &str) -> String {
        match self.first_userlist.as_deref() {
            Some(first) if first == list => String::new(),
            _ => format!(".{list}"),
        }
    }

    /// The name under which a file is granted.
    pub fn name_of(&mut self, file: &str, matching: MapMatching) -> String {
        let file = match &self.start {
            Some(start) if !file.starts_with('/') => {
                &format!("{}/{file}", start.trim_end_matches('/'))
            }
            _ => file,
        };
        let known = self
            .maps
            .iter()
            .find(|(_, known, how)| known == file && *how == matching);
        if let Some((name, ..)) = known {
            return name.clone();
        }
        let stem = file.rsplit('/').next().unwrap_or(file);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                c
            } else {
                '-'
            }
        };
        let stem: String = stem.chars().take(100).map(plain).collect();
        let stem = if stem.is_empty() {
            "map".to_owned()
        } else {
            stem
        };
        let mut name = stem.clone();
        let mut number = 2;
        while self.maps.iter().any(|(known, ..)| *known == name) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        self.maps.push((name.clone(), file.to_owned(), matching));
        name
    }

    /// The files of all maps.
    pub fn files(&self) -> impl Iterator<Item = String> {
        self.maps.iter().map(|(_, file, _)| file.clone())
    }

    /// The sections `[[map]]`.
    pub fn sections(&self) -> Vec<Table> {
        let table = |(name, file, matching): &(String, String, MapMatching)| {
            let table = Table::of("name", name.as_str()).with("file", file.as_str());
            match matching {
                MapMatching::Exact => table,
                other => table.with("match", other.word()),
            }
        };
        self.maps.iter().map(table).collect()
    }
}

/// How a converter such as `map_beg` looks things up: how the map's keys match, and the converter of `rules`; `None` if
/// it is no map.
pub fn matching_of_map(converter: &str) -> Option<Result<(MapMatching, &'static str), Reason>> {
    let how = match converter {
        "map" => "str",
        other => other.strip_prefix("map_")?,
    };
    // What comes out is text in any case.
    let how = how
        .trim_end_matches("_int")
        .trim_end_matches("_str")
        .trim_end_matches("_ip");
    Some(match if how.is_empty() { "str" } else { how } {
        "str" | "int" => Ok((MapMatching::Exact, "map")),
        "beg" => Ok((MapMatching::Prefix, "map")),
        "ip" => Ok((MapMatching::Cidr, "map")),
        // The plugin goes through the entries by itself.
        "end" => Ok((MapMatching::Exact, "map_end")),
        "sub" => Ok((MapMatching::Exact, "map_sub")),
        "dom" => Ok((MapMatching::Exact, "map_dom")),
        "dir" => Ok((MapMatching::Exact, "map_dir")),
        "reg" => Ok((MapMatching::Exact, "map_reg")),
        "regm" => Ok((MapMatching::Exact, "map_regm")),
        other => Err(format!("`map_{other}`: Weir has no such converter")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_one_name_per_way_to_match() {
        let mut maps = Maps::default();
        assert_eq!(maps.name_of("/etc/a.map", MapMatching::Exact), "a");
        assert_eq!(maps.name_of("/etc/a.map", MapMatching::Exact), "a");
        assert_eq!(maps.name_of("/etc/a.map", MapMatching::Prefix), "a-2");
        assert_eq!(maps.name_of("/opt/a.lst", MapMatching::Exact), "a-3");
        assert_eq!(
            matching_of_map("map_ip"),
            Some(Ok((MapMatching::Cidr, "map")))
        );
        assert_eq!(
            matching_of_map("map_str_int"),
            Some(Ok((MapMatching::Exact, "map")))
        );
        assert_eq!(
            matching_of_map("map_sub"),
            Some(Ok((MapMatching::Exact, "map_sub")))
        );
        assert!(matching_of_map("map_len").is_some_and(|how| how.is_err()));
        assert_eq!(matching_of_map("lower"), None);
    }
}
