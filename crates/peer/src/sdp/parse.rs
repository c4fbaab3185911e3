//! From text to lines, from lines to a description; one pass over the text to count and one to
//! read, whatever stands in it.

use super::attribute::Place;
use super::{Attribute, Description, Line, Media, Origin, ParseError, ParseErrorKind, Text};

/// How much of a description is read. Beyond it there is an error, not a shortened description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a description, 256 KiB: a conference of 50 videos has about 100.
    pub description: usize,
    /// M-sections, 256.
    pub sections: usize,
    /// Bytes of a line, 16 KiB.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            description: 256 * 1024,
            sections: 256,
            line: 16 * 1024,
        }
    }
}

pub(super) fn description(text: &str, limits: &Limits) -> Result<Description, ParseError> {
    if text.len() > limits.description {
        let kind = ParseErrorKind::TooLong {
            len: text.len(),
            max: limits.description,
        };
        return Err(ParseError::new(0, kind, ""));
    }
    let mut lines = Lines {
        rest: text,
        number: 0,
        limit: limits.line,
    };

    let version = lines.expect('v')?;
    if version.value != "0" {
        return Err(version.error(ParseErrorKind::Version));
    }
    let origin = lines.expect('o')?;
    let origin = Origin::parse(origin.value).map_err(|kind| origin.error(kind))?;
    let name = lines.expect('s')?.text()?;

    let (other, attributes) = count(lines.rest);
    let mut description = Description {
        origin,
        name,
        lines: Vec::with_capacity(other),
        attributes: Vec::with_capacity(attributes),
        media: Vec::new(),
    };
    let mut next = lines.next()?;
    while let Some(line) = next.filter(|line| line.letter != 'm') {
        match line.letter {
            'a' => description.attributes.push(line.attribute(Place::Session)?),
            'i' | 'u' | 'e' | 'p' | 'c' | 'b' | 't' | 'r' | 'z' | 'k' => {
                description.lines.push(line.kept()?);
            }
            _ => return Err(line.error(ParseErrorKind::Misplaced)),
        }
        next = lines.next()?;
    }
    if !description.lines.iter().any(|line| line.letter == 't') {
        return Err(ParseError::new(
            lines.number,
            ParseErrorKind::Missing('t'),
            "",
        ));
    }

    // The m-line at hand has been taken from the text already.
    let sections =
        1 + lines.rest.matches("\nm=").count() + usize::from(lines.rest.starts_with("m="));
    if next.is_some() {
        description
            .media
            .reserve_exact(sections.min(limits.sections));
    }
    while let Some(line) = next {
        if description.media.len() == limits.sections {
            return Err(line.error(ParseErrorKind::TooManySections {
                max: limits.sections,
            }));
        }
        let mut media = Media::parse(line.value).map_err(|kind| line.error(kind))?;
        next = section(&mut lines, &mut media)?;
        description.media.push(media);
    }
    Ok(description)
}

/// Reads up to the next m-line, which it returns.
fn section<'a>(
    lines: &mut Lines<'a>,
    media: &mut Media,
) -> Result<Option<NumberedLine<'a>>, ParseError> {
    let place = if media.protocol.is_rtp() {
        Place::Rtp
    } else {
        Place::Section
    };
    let (other, attributes) = count(lines.rest);
    media.lines.reserve_exact(other);
    media.attributes.reserve_exact(attributes);
    while let Some(line) = lines.next()? {
        match line.letter {
            'm' => return Ok(Some(line)),
            'a' => media.attributes.push(line.attribute(place)?),
            'i' | 'c' | 'b' | 'k' => media.lines.push(line.kept()?),
            _ => return Err(line.error(ParseErrorKind::Misplaced)),
        }
    }
    Ok(None)
}

/// Attributes, and other lines, up to the next m-line: lists are made as long as they will be, so
/// that a description of the shortest lines does not cost the slack of growing ones.
fn count(text: &str) -> (usize, usize) {
    let (mut other, mut attributes) = (0, 0);
    for line in text.split('\n').take_while(|line| !line.starts_with("m=")) {
        if line.starts_with("a=") {
            attributes += 1;
        } else if line.len() > 1 {
            other += 1;
        }
    }
    (other, attributes)
}

struct Lines<'a> {
    rest: &'a str,
    /// Of the line taken last, from 1.
    number: usize,
    limit: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<NumberedLine<'a>>, ParseError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        // RFC 8866 §5: lines end with CRLF, and readers accept LF.
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let line = line.strip_suffix('\r').unwrap_or(line);
        self.rest = rest;
        if line.len() > self.limit {
            let kind = ParseErrorKind::LineTooLong {
                len: line.len(),
                max: self.limit,
            };
            return Err(ParseError::new(self.number, kind, line));
        }
        if line.bytes().any(|byte| byte == 0 || byte == b'\r') {
            return Err(ParseError::new(
                self.number,
                ParseErrorKind::ControlCharacter,
                line,
            ));
        }
        if line.is_empty() && rest.trim_start_matches(['\r', '\n']).is_empty() {
            // Empty lines behind the last: what a template or a text field leaves.
            self.rest = "";
            return Ok(None);
        }
        let mut characters = line.chars();
        match (characters.next(), characters.next()) {
            (Some(letter), Some('=')) => Ok(Some(NumberedLine {
                number: self.number,
                letter,
                value: characters.as_str(),
            })),
            _ => Err(ParseError::new(self.number, ParseErrorKind::Line, line)),
        }
    }

    fn expect(&mut self, letter: char) -> Result<NumberedLine<'a>, ParseError> {
        match self.next()? {
            Some(line) if line.letter == letter => Ok(line),
            Some(line) => Err(line.error(ParseErrorKind::Missing(letter))),
            None => Err(ParseError::new(
                self.number + 1,
                ParseErrorKind::Missing(letter),
                "",
            )),
        }
    }
}

#[derive(Clone, Copy)]
struct NumberedLine<'a> {
    number: usize,
    letter: char,
    value: &'a str,
}

impl NumberedLine<'_> {
    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(self.number, kind, self.value)
    }

    fn text(&self) -> Result<Text, ParseError> {
        Text::new(self.value).map_err(|_| self.error(ParseErrorKind::ControlCharacter))
    }

    fn kept(&self) -> Result<Line, ParseError> {
        Ok(Line {
            letter: self.letter,
            value: self.text()?,
        })
    }

    fn attribute(&self, place: Place) -> Result<Attribute, ParseError> {
        Attribute::parse(self.value, place).map_err(|kind| self.error(kind))
    }
}
