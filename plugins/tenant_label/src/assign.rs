//! Gives every resource and row its tenant, and says so in labels and in the partition.

use std::collections::BTreeMap;

use sluice_sdk::{Batch, Bitmap, ConfigErrors, Entities, Failure, Field, Outcome, Setup, Texts, Writes, counter};

use crate::config::{OnUnknown, Place, SourceConfig, TenantLabelConfig};
use crate::resolve::{Resolution, Resolver};
use crate::source::{Source, Values};

/// The stage's work.
#[derive(Debug)]
pub(crate) struct Assigner {
    sources: Vec<Source>,
    resolver: Resolver,
    /// The attribute that holds the tenant's name; none if nobody wants it.
    label: Option<String>,
    partition: bool,
    /// The tenant of what is unknown; none if that is refused.
    fallback: Option<String>,
    /// The sources, for whoever sent telemetry without a tenant.
    sought: String,
    max_tenants: usize,
}

/// A position in the list of a batch's tenants.
type Code = u32;

/// The tenants of a batch.
struct Tenants<'a> {
    /// Their names, and whether any row is theirs: a value that an earlier source hides makes nobody a tenant.
    names: Vec<(String, bool)>,
    codes: BTreeMap<String, Code>,
    fallback: Option<&'a str>,
    sought: &'a str,
}

/// What a source says about the resources or rows of a batch.
enum Said<'a> {
    Everywhere(Option<Tenant>),
    Resource(Values<'a, Tenant>),
    Record(Values<'a, Tenant>),
}

/// What is said about a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant {
    Known(Code),
    Unknown,
    Refused,
}

/// Who the rows belong to.
#[derive(Default)]
struct Assignment {
    /// The tenant of each resource, if all its rows have the same; none for a resource without rows.
    resources: Vec<Option<Code>>,
    /// Resources whose rows belong to several tenants, in order, with the tenants of their rows.
    mixed: Vec<(u32, Vec<Code>)>,
    /// Rows whose tenant was unknown.
    unknown: u64,
}

impl Assigner {
    /// Checks the configuration and declares what is read and written.
    pub(crate) fn new(config: TenantLabelConfig, setup: &mut Setup) -> Result<Self, ConfigErrors> {
        let mut errors = config.check();
        let resolver = Resolver::new(&config, setup).map_err(|found| errors.extend(found)).ok();
        let Some(resolver) = resolver.filter(|_| errors.is_empty()) else { return Err(errors) };
        setup.starts();
        let sources: Vec<Source> = config.sources.iter().map(|source| Source::new(source, setup)).collect();
        let label = (!config.label.is_empty()).then(|| {
            let mut fields = vec![Field::resource(config.label.as_str())];
            if sources.iter().any(|source| matches!(source, Source::Record(_))) {
                fields.push(Field::record(config.label.as_str()));
            }
            setup.writes(Writes::Fields(fields));
            config.label.clone()
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
        let mut tenants = Tenants::new(self.fallback.as_deref(), &self.sought);
        let resolver = &mut self.resolver;
        let said: Vec<Said<'_>> =
            self.sources.iter().map(|source| ask(source, batch, resolver, &mut tenants)).collect();
        let assignment = Assignment::new(batch, &said, &mut tenants)?;
        if tenants.in_use() > self.max_tenants {
            let message = format!("the batch has more than {} tenants (max_tenants_per_batch)", self.max_tenants);
            return Err(Failure::refused(message));
        }
        if assignment.unknown > 0 {
            counter::add("unknown_tenant_rows", assignment.unknown);
        }
        if let Some(label) = &self.label {
            write_label(label, batch, &assignment, &tenants, &mut outcome);
        }
        if self.partition {
            tenants.partition(batch, &assignment, &mut outcome);
        }
        Ok(outcome)
    }
}

/// What a source says, with one question to the resolver for all that is distinct.
fn ask<'a>(source: &Source, batch: &'a Batch, resolver: &mut Resolver, tenants: &mut Tenants<'_>) -> Said<'a> {
    let mut resolve = |values: &[&str]| -> Vec<Tenant> {
        resolver.resolve(values).into_iter().map(|resolution| tenants.tenant(resolution)).collect()
    };
    match source {
        Source::Resource(attribute) => Said::Resource(attribute.read(batch, resolve)),
        Source::Record(attribute) => Said::Record(attribute.read(batch, resolve)),
        Source::Header(header) => {
            let value = batch.header(*header).filter(|value| !value.is_empty());
            Said::Everywhere(value.and_then(|value| resolve(&[value]).first().copied()))
        }
        Source::Constant(name) => Said::Everywhere(Some(Tenant::Known(tenants.code(name)))),
    }
}

impl<'a> Tenants<'a> {
    fn new(fallback: Option<&'a str>, sought: &'a str) -> Self {
        Self { names: Vec::new(), codes: BTreeMap::new(), fallback, sought }
    }

    fn tenant(&mut self, resolution: Resolution) -> Tenant {
        match resolution {
            Resolution::Tenant(name) => Tenant::Known(self.code(&name)),
            Resolution::Unknown => Tenant::Unknown,
            Resolution::Refused => Tenant::Refused,
        }
    }

    /// The position of a tenant in the list.
    fn code(&mut self, name: &str) -> Code {
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        let code = self.names.len() as Code;
        self.names.push((name.to_owned(), false));
        self.codes.insert(name.to_owned(), code);
        code
    }

    fn name(&self, code: Code) -> &str {
        &self.names[code as usize].0
    }

    /// Who owns rows about which this is said.
    fn owner(&mut self, tenant: Tenant) -> Result<Code, Failure> {
        let code = match (tenant, self.fallback) {
            (Tenant::Known(code), _) => code,
            (Tenant::Unknown, Some(name)) => self.code(name),
            (Tenant::Unknown, None) => return Err(Failure::refused(format!("no known tenant in {}", self.sought))),
            (Tenant::Refused, _) => {
                let message = format!("the name found in {} can't be a tenant's", self.sought);
                return Err(Failure::refused(message));
            }
        };
        self.names[code as usize].1 = true;
        Ok(code)
    }

    fn in_use(&self) -> usize {
        self.names.iter().filter(|(_, used)| *used).count()
    }

    /// Splits the batch among the tenants that have rows.
    fn partition(self, batch: &Batch, assignment: &Assignment, outcome: &mut Outcome) {
        // Which resources without rows are not the one tenant's, only codes can tell.
        if self.in_use() == 1 && assignment.resources.iter().all(Option::is_some) {
            if let Some((name, _)) = self.names.into_iter().find(|(_, used)| *used) {
                outcome.belongs_to(name);
            }
            return;
        }
        let mut next = 0;
        let renumber = |(_, used): &(String, bool)| {
            next += Code::from(*used);
            next.saturating_sub(1)
        };
        let renumbered: Vec<Code> = self.names.iter().map(renumber).collect();
        let mut rows = assignment.rows(batch);
        rows.iter_mut().for_each(|code| *code = renumbered[*code as usize]);
        let names = self.names.into_iter().filter(|(_, used)| *used).map(|(name, _)| name).collect();
        outcome.partition(names, rows);
    }
}

impl Assignment {
    fn new(batch: &Batch, said: &[Said<'_>], tenants: &mut Tenants<'_>) -> Result<Self, Failure> {
        let mut assignment = Self { resources: Vec::with_capacity(batch.resources()), ..Self::default() };
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
        let whole =
            said.iter().enumerate().find_map(|(at, said)| said.about_resource(resource).map(|found| (at, found)));
        let (before, tenant) = whole.map_or((said.len(), Tenant::Unknown), |(at, tenant)| (at, tenant));
        let by_row: Vec<&Values<'_, Tenant>> = said[..before].iter().filter_map(Said::by_row).collect();
        if by_row.is_empty() {
            self.unknown += if tenant == Tenant::Unknown { rows.len() as u64 } else { 0 };
            let code = tenants.owner(tenant)?;
            self.resources.push(Some(code));
            return Ok(());
        }
        let mut codes = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant = by_row.iter().find_map(|values| values.get(row)).unwrap_or(tenant);
            self.unknown += u64::from(tenant == Tenant::Unknown);
            codes.push(tenants.owner(tenant)?);
        }
        let one = codes.first().copied().filter(|one| codes.iter().all(|code| code == one));
        if one.is_none() {
            self.mixed.push((resource as u32, codes));
        }
        self.resources.push(one);
        Ok(())
    }

    /// The tenant of each row.
    fn rows(&self, batch: &Batch) -> Vec<Code> {
        let mut mixed = self.mixed.iter();
        let mut rows = Vec::with_capacity(batch.rows());
        for (resource, code) in self.resources.iter().enumerate() {
            let its_own = batch.resource_rows(resource);
            match code {
                Some(code) => rows.resize(its_own.end, *code),
                None if its_own.is_empty() => {}
                None => mixed.next().into_iter().for_each(|(_, codes)| rows.extend_from_slice(codes)),
            }
        }
        rows
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

/// Writes the label: on resources with one tenant; of the others on the rows, because a resource is one entity for all
/// its tenants. Also where it stands already, since the sender may have written it twice.
fn write_label(key: &str, batch: &Batch, assignment: &Assignment, tenants: &Tenants<'_>, outcome: &mut Outcome) {
    let name = |code: Code| tenants.name(code);
    let owned: Vec<(u32, Code)> =
        (0..).zip(&assignment.resources).filter_map(|(resource, code)| code.map(|code| (resource, code))).collect();
    match owned.as_slice() {
        [] => {}
        [(_, first), rest @ ..] if rest.iter().all(|(_, code)| code == first) => {
            let entities = if owned.len() == batch.resources() {
                Entities::All
            } else {
                let mut resources = Bitmap::new(batch.resources(), false);
                owned.iter().for_each(|(resource, _)| resources.set(*resource as usize));
                Entities::Some(resources)
            };
            outcome.set(Field::resource(key), entities, name(*first));
        }
        several => {
            let texts: Texts = several.iter().map(|(_, code)| name(*code)).collect();
            let resources = several.iter().map(|(resource, _)| *resource).collect();
            outcome.set_values(Field::resource(key), resources, texts);
        }
    }
    write_label_of_rows(key, batch, assignment, tenants, outcome);
    remove_label_of_nobody(key, batch, assignment, outcome);
}

/// A resource without rows is nobody's: the label that its sender wrote must not make it somebody's.
fn remove_label_of_nobody(key: &str, batch: &Batch, assignment: &Assignment, outcome: &mut Outcome) {
    let is_nobodys = |resource: &usize| batch.resource_rows(*resource).is_empty();
    let mut nobodys = (0..assignment.resources.len()).filter(is_nobodys).peekable();
    if nobodys.peek().is_none() {
        return;
    }
    let mut resources = Bitmap::new(batch.resources(), false);
    nobodys.for_each(|resource| resources.set(resource));
    outcome.remove(Field::resource(key), resources);
}

fn write_label_of_rows(
    key: &str,
    batch: &Batch,
    assignment: &Assignment,
    tenants: &Tenants<'_>,
    outcome: &mut Outcome,
) {
    if assignment.mixed.is_empty() {
        return;
    }
    let mut resources = Bitmap::new(batch.resources(), false);
    let (mut rows, mut texts) = (Vec::new(), Texts::new());
    for (resource, codes) in &assignment.mixed {
        resources.set(*resource as usize);
        for (row, code) in batch.resource_rows(*resource as usize).zip(codes) {
            rows.push(row as u32);
            texts.push(tenants.name(*code));
        }
    }
    // What the sender wrote there would be taken for the tenant of all its rows.
    outcome.remove(Field::resource(key), resources);
    outcome.set_values(Field::record(key), rows, texts);
}

/// The sources in words, for messages to the sender. Values are not named: they may be secret.
fn sought(config: &TenantLabelConfig) -> String {
    let describe = |source: &SourceConfig| match source.from {
        Place::Resource => format!("resource attribute {:?}", source.key),
        Place::Record => format!("attribute {:?}", source.key),
        Place::Header => format!("header {:?}", source.key),
        Place::Constant => "the configuration".to_owned(),
    };
    config.sources.iter().map(describe).collect::<Vec<_>>().join(" or ")
}
