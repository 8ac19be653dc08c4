-- May run more than once.
create table if not exists call (
  id int generated always as identity primary key,
  via text not null,
  version text not null
);
