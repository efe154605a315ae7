//! Gives every resource and row its tenant, and says so in labels and in the partition.

use sluice_sdk::{
    Batch, Bitmap, ConfigErrors, Dictionary, Entities, Failure, Field, Outcome, Setup, Texts, Writes, counter,
};

use crate::config::{OnUnknown, TenantLabelConfig};
use crate::resolve::{Resolution, Resolver};
use crate::source::{Source, Values};

/// The stage's work.
#[derive(Debug)]
pub(crate) struct Assigner {
    sources: Vec<Source>,
    resolver: Resolver,
    label: Option<Label>,
    partition: bool,
    /// The tenant of what is unknown; none if that is refused.
    fallback: Option<String>,
    /// The sources, for whoever sent telemetry without a tenant.
    sought: String,
    max_tenants: usize,
}

/// The attribute that holds the tenant's name.
#[derive(Debug)]
struct Label {
    key: String,
    /// What resources have there already.
    present: Dictionary,
}

/// A position in the list of a batch's tenants.
type Code = u32;

/// The tenants of a batch.
struct Tenants<'a> {
    names: Vec<String>,
    fallback: Option<&'a str>,
    sought: &'a str,
    limit: usize,
}

/// What a source says about the resources or rows of a batch.
enum Said<'a> {
    Everywhere(Option<Tenant>),
    Resource(Values<'a, Tenant>),
    Record(Values<'a, Tenant>),
}

/// A tenant, or that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant {
    Known(Code),
    Unknown,
}

/// Who the rows belong to.
struct Assignment {
    /// The tenant of each row.
    rows: Vec<Code>,
    /// The tenant of each resource, if all its rows have the same; none for a resource without rows.
    resources: Vec<Option<Code>>,
    /// Resources whose rows belong to several tenants.
    mixed: Vec<u32>,
    /// Rows whose tenant was unknown.
    unknown: u64,
}

impl Assigner {
    /// Checks the configuration and declares what is read and written.
    pub(crate) fn new(config: TenantLabelConfig, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let mut errors = config.check();
        let resolver = Resolver::new(&config, setup).map_err(|found| errors.extend(found)).ok();
        let Some(resolver) = resolver.filter(|_| errors.is_empty()) else { return Err(errors) };
        let sources: Vec<Source> = config.sources.iter().map(|source| Source::new(source, setup)).collect();
        let label = (!config.label.is_empty()).then(|| {
            let mut fields = vec![Field::resource(config.label.as_str())];
            if sources.iter().any(|source| matches!(source, Source::Record(_))) {
                fields.push(Field::record(config.label.as_str()));
            }
            setup.writes(Writes::Fields(fields));
            Label { present: setup.dictionary(Field::resource(config.label.as_str())), key: config.label.clone() }
        });
        Ok(Self {
            sources,
            resolver,
            label,
            partition: config.partition,
            fallback: (config.on_unknown == OnUnknown::Default).then(|| config.default_tenant.clone()),
            sought: sought(&config),
            max_tenants: config.max_tenants_per_batch as usize,
        })
    }

    /// Labels and splits a batch.
    pub(crate) fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::unchanged();
        if batch.rows() == 0 {
            return Ok(outcome);
        }
        let mut tenants = Tenants {
            names: Vec::new(),
            fallback: self.fallback.as_deref(),
            sought: &self.sought,
            limit: self.max_tenants,
        };
        let resolver = &mut self.resolver;
        let said: Result<Vec<Said<'_>>, Failure> =
            self.sources.iter().map(|source| ask(source, batch, resolver, &mut tenants)).collect();
        let assignment = Assignment::new(batch, &said?, &mut tenants)?;
        if assignment.unknown > 0 {
            counter::add("unknown_tenant_rows", assignment.unknown);
        }
        if let Some(label) = &self.label {
            label.write(batch, &assignment, &tenants.names, &mut outcome);
        }
        if self.partition {
            let (names, codes) = tenants.in_use(assignment.rows);
            outcome.partition(names, codes);
        }
        Ok(outcome)
    }
}

/// What a source says, with one question to the resolver for all that is distinct.
fn ask<'a>(
    source: &Source,
    batch: &'a Batch,
    resolver: &mut Resolver,
    tenants: &mut Tenants<'_>,
) -> Result<Said<'a>, Failure> {
    let mut resolve = |values: &[&str]| -> Result<Vec<Tenant>, Failure> {
        resolver.resolve(values).into_iter().map(|resolution| tenants.tenant(resolution)).collect()
    };
    Ok(match source {
        Source::Resource(attribute) => Said::Resource(attribute.read(batch, resolve)?),
        Source::Record(attribute) => Said::Record(attribute.read(batch, resolve)?),
        Source::Header(header) => {
            let value = batch.header(*header).filter(|value| !value.is_empty());
            Said::Everywhere(value.map(|value| resolve(&[value])).transpose()?.and_then(|found| found.first().copied()))
        }
        Source::Constant(name) => Said::Everywhere(Some(Tenant::Known(tenants.code(name)?))),
    })
}

impl Tenants<'_> {
    fn tenant(&mut self, resolution: Resolution) -> Result<Tenant, Failure> {
        match resolution {
            Resolution::Tenant(name) => Ok(Tenant::Known(self.code(&name)?)),
            Resolution::Unknown => Ok(Tenant::Unknown),
            Resolution::Refused => {
                Err(Failure::refused(format!("the name found in {} can't be a tenant's", self.sought)))
            }
        }
    }

    /// The position of a tenant in the list, which is short.
    fn code(&mut self, name: &str) -> Result<Code, Failure> {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return Ok(at as Code);
        }
        if self.names.len() == self.limit {
            let message = format!("the batch has more than {} tenants (max_tenants_per_batch)", self.limit);
            return Err(Failure::refused(message));
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() as Code - 1)
    }

    /// The tenant of what nobody is known to own.
    fn fallback(&mut self) -> Result<Code, Failure> {
        match self.fallback {
            Some(name) => self.code(name),
            None => Err(Failure::refused(format!("no known tenant in {}", self.sought))),
        }
    }

    /// The tenants that have rows, and the rows' codes among them: a value that a source before it hides is no tenant of
    /// the batch.
    fn in_use(mut self, mut rows: Vec<Code>) -> (Vec<String>, Vec<Code>) {
        let mut used = vec![false; self.names.len()];
        rows.iter().for_each(|code| used[*code as usize] = true);
        if used.iter().all(|used| *used) {
            return (self.names, rows);
        }
        let mut next = 0;
        let renumbered: Vec<Code> = used
            .iter()
            .map(|used| {
                next += Code::from(*used);
                next.saturating_sub(1)
            })
            .collect();
        rows.iter_mut().for_each(|code| *code = renumbered[*code as usize]);
        let mut used = used.into_iter();
        self.names.retain(|_| used.next().unwrap_or(false));
        (self.names, rows)
    }
}

impl Assignment {
    fn new(batch: &Batch, said: &[Said<'_>], tenants: &mut Tenants<'_>) -> Result<Self, Failure> {
        let mut assignment = Self {
            rows: Vec::with_capacity(batch.rows()),
            resources: Vec::with_capacity(batch.resources()),
            mixed: Vec::new(),
            unknown: 0,
        };
        for resource in 0..batch.resources() {
            assignment.assign(batch, resource, said, tenants)?;
        }
        Ok(assignment)
    }

    fn assign(
        &mut self,
        batch: &Batch,
        resource: usize,
        said: &[Said<'_>],
        tenants: &mut Tenants<'_>,
    ) -> Result<(), Failure> {
        let rows = batch.resource_rows(resource);
        if rows.is_empty() {
            self.resources.push(None);
            return Ok(());
        }
        // The first source that decides for the whole resource; only record sources before it look at rows.
        let whole = said.iter().enumerate().find_map(|(at, said)| said.about_resource(resource).map(|found| (at, found)));
        let (before, tenant) = whole.map_or((said.len(), Tenant::Unknown), |(at, tenant)| (at, tenant));
        let by_row: Vec<&Values<'_, Tenant>> = said[..before].iter().filter_map(Said::by_row).collect();
        if by_row.is_empty() {
            self.unknown += if tenant == Tenant::Unknown { rows.len() as u64 } else { 0 };
            let code = tenants.owner(tenant)?;
            self.resources.push(Some(code));
            self.rows.resize(rows.end, code);
            return Ok(());
        }
        let first = rows.start;
        for row in rows {
            let tenant = by_row.iter().find_map(|values| values.get(row)).unwrap_or(tenant);
            self.unknown += u64::from(tenant == Tenant::Unknown);
            self.rows.push(tenants.owner(tenant)?);
        }
        let mut codes = self.rows[first..].iter();
        let one = codes.next().copied().filter(|one| codes.all(|code| code == one));
        if one.is_none() {
            self.mixed.push(resource as u32);
        }
        self.resources.push(one);
        Ok(())
    }
}

impl<'a> Said<'a> {
    fn about_resource(&self, resource: usize) -> Option<Tenant> {
        match self {
            Self::Everywhere(tenant) => *tenant,
            Self::Resource(values) => values.get(resource),
            Self::Record(_) => None,
        }
    }

    fn by_row(&self) -> Option<&Values<'a, Tenant>> {
        if let Self::Record(values) = self { Some(values) } else { None }
    }
}

impl Tenants<'_> {
    fn owner(&mut self, tenant: Tenant) -> Result<Code, Failure> {
        match tenant {
            Tenant::Known(code) => Ok(code),
            Tenant::Unknown => self.fallback(),
        }
    }
}

impl Label {
    /// Writes the label where it does not stand already: on resources with one tenant; of the others on the rows,
    /// because a resource is one entity for all its tenants.
    fn write(&self, batch: &Batch, assignment: &Assignment, names: &[String], outcome: &mut Outcome) {
        let present = batch.dictionary(self.present);
        let name = |code: Code| names[code as usize].as_str();
        let lacking: Vec<(u32, Code)> = (0..)
            .zip(&assignment.resources)
            .filter_map(|(resource, code)| code.map(|code| (resource, code)))
            .filter(|(resource, code)| present.get(*resource as usize) != Some(name(*code)))
            .collect();
        match lacking.as_slice() {
            [] => {}
            [(_, first), rest @ ..] if rest.iter().all(|(_, code)| code == first) => {
                let entities = if lacking.len() == batch.resources() {
                    Entities::All
                } else {
                    let mut resources = Bitmap::new(batch.resources(), false);
                    lacking.iter().for_each(|(resource, _)| resources.set(*resource as usize));
                    Entities::Some(resources)
                };
                outcome.set(Field::resource(self.key.as_str()), entities, name(*first));
            }
            several => {
                let texts: Texts = several.iter().map(|(_, code)| name(*code)).collect();
                let resources = several.iter().map(|(resource, _)| *resource).collect();
                outcome.set_values(Field::resource(self.key.as_str()), resources, texts);
            }
        }
        self.write_rows(batch, assignment, names, outcome);
    }

    fn write_rows(&self, batch: &Batch, assignment: &Assignment, names: &[String], outcome: &mut Outcome) {
        if assignment.mixed.is_empty() {
            return;
        }
        let mut resources = Bitmap::new(batch.resources(), false);
        let (mut rows, mut texts) = (Vec::new(), Texts::new());
        for resource in &assignment.mixed {
            resources.set(*resource as usize);
            for row in batch.resource_rows(*resource as usize) {
                rows.push(row as u32);
                texts.push(&names[assignment.rows[row] as usize]);
            }
        }
        // What the sender wrote there would be taken for the tenant of all its rows.
        outcome.remove(Field::resource(self.key.as_str()), resources);
        outcome.set_values(Field::record(self.key.as_str()), rows, texts);
    }
}

/// The sources in words, for messages to the sender. Values are not named: they may be secret.
fn sought(config: &TenantLabelConfig) -> String {
    use crate::config::From;
    let describe = |source: &crate::config::SourceConfig| match source.from {
        From::Resource => format!("resource attribute {:?}", source.key),
        From::Record => format!("attribute {:?}", source.key),
        From::Header => format!("header {:?}", source.key),
        From::Constant => "the configuration".to_owned(),
    };
    config.sources.iter().map(describe).collect::<Vec<_>>().join(" or ")
}
