# Who may do what:
#
#                 checkpoint, log.json   tile/*               partial tiles   private/*       the guard
#   sequencer     read, replace          read, create         read, create    read, replace   read, replace
#   gc            read                   read                 read, delete    -               -
#   everybody     -                      read                 read            -               -
#
# To replace an object takes the permission to delete one, says Google. So the sequencer has it for the few names that
# it replaces, by a condition, and for no tile: what is below tile/ is append-only for it.
#
# The names of objects are those of docs/architecture.md, "What stands in a bucket". They stand at the bucket's root.

locals {
  objects = "projects/_/buckets/${var.bucket}/objects/"

  replaced = join(" || ", [
    "resource.name == \"${local.objects}checkpoint\"",
    "resource.name == \"${local.objects}log.json\"",
    "resource.name.startsWith(\"${local.objects}private/\")",
  ])

  # extract() is empty where the name has no `.p/` in it, as no full tile has.
  partial = join(" && ", [
    "resource.name.startsWith(\"${local.objects}tile/\")",
    "resource.name.extract(\".p/{width}\") != \"\"",
  ])
}

resource "google_service_account" "sequencer" {
  project      = var.project
  account_id   = "${var.name}-sequencer"
  display_name = "Writes the log in ${var.bucket}"
}

resource "google_service_account" "gc" {
  project      = var.project
  account_id   = "${var.name}-gc"
  display_name = "Deletes superseded partial tiles of the log in ${var.bucket}"
}

# No role of Google's deletes objects and does nothing else.
resource "google_project_iam_custom_role" "delete" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_delete"
  title       = "Delete objects"
  description = "To be granted under a condition, which says which."
  permissions = ["storage.objects.delete"]
}

# --- The sequencer ---

resource "google_storage_bucket_iam_member" "sequencer_reads" {
  for_each = local.buckets

  bucket = google_storage_bucket.this[each.key].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.sequencer.member
}

resource "google_storage_bucket_iam_member" "sequencer_creates" {
  for_each = local.buckets

  bucket = google_storage_bucket.this[each.key].name
  role   = "roles/storage.objectCreator"
  member = google_service_account.sequencer.member
}

resource "google_storage_bucket_iam_member" "sequencer_replaces" {
  bucket = google_storage_bucket.this["log"].name
  role   = google_project_iam_custom_role.delete.id
  member = google_service_account.sequencer.member

  condition {
    title       = "what_is_replaced"
    description = "Nothing below tile/"
    expression  = local.replaced
  }
}

resource "google_storage_bucket_iam_member" "sequencer_replaces_the_guard" {
  bucket = google_storage_bucket.this["guard"].name
  role   = google_project_iam_custom_role.delete.id
  member = google_service_account.sequencer.member
}

# --- `kiln gc` ---

resource "google_storage_bucket_iam_member" "gc_reads" {
  bucket = google_storage_bucket.this["log"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.gc.member

  # Listing asks the bucket, whose name is none of an object. Objects are those that readers see as well.
  condition {
    title       = "not_private"
    description = "What readers see"
    expression  = "!resource.name.startsWith(\"${local.objects}private/\")"
  }
}

resource "google_storage_bucket_iam_member" "gc_deletes" {
  bucket = google_storage_bucket.this["log"].name
  role   = google_project_iam_custom_role.delete.id
  member = google_service_account.gc.member

  condition {
    title       = "partial_tiles"
    description = "Nothing but partial tiles and bundles"
    expression  = local.partial
  }
}

# --- Readers ---

# A grant to everybody takes no condition, and one to the bucket would show private/. A folder can be granted by itself.
resource "google_storage_managed_folder" "tiles" {
  count = var.public_tiles ? 1 : 0

  bucket        = google_storage_bucket.this["log"].name
  name          = "tile/"
  force_destroy = false

  lifecycle {
    prevent_destroy = true
  }
}

# To read, and not to list.
resource "google_storage_managed_folder_iam_member" "everybody_reads_tiles" {
  count = var.public_tiles ? 1 : 0

  bucket         = google_storage_managed_folder.tiles[0].bucket
  managed_folder = google_storage_managed_folder.tiles[0].name
  role           = "roles/storage.legacyObjectReader"
  member         = "allUsers"
}
