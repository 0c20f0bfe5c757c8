# Machines that write the log, one at a time: each has a disk of its own for the dedup index, so that a start takes
# seconds and not a reading of the whole log. What keeps two of them apart is the head in the bucket, not anything here.
#
# No group scales them and no orchestrator kills them: a new instance in Cloud Run would begin without an index. systemd
# restarts a process that ends, and the balancer goes by /readyz, which is green on the one that writes.

locals {
  port   = 8080
  cache  = "/mnt/disks/kiln"
  url    = "https://${var.host}"
  images = { for name, node in var.nodes : name => coalesce(node.image, var.image) }

  # The command line that docs/cli.md describes.
  kiln_args = concat(
    [
      "serve", var.store,
      "--origin", var.origin,
      "--listen", "0.0.0.0:${local.port}",
      "--url", local.url,
      "--read-url", local.url,
      "--key", "/run/kiln/key",
      "--guard", var.guard,
      "--cache-dir", "${local.cache}/dedup",
      "--interval", var.interval,
      "--log-format", "json",
    ],
    length(var.nodes) > 1 ? ["--standby"] : [],
    var.extra_args,
  )

  docker_args = [
    "--rm",
    "--name", "kiln",
    "--network", "host",
    "--read-only",
    "--user", "65532:65532",
    "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges",
    "--ulimit", "nofile=65536",
    # A Cloud Logging that does not answer must not stop a log.
    "--log-driver", "gcplogs",
    "--log-opt", "mode=non-blocking",
    "--volume", "${local.cache}:${local.cache}",
    "--volume", "/run/kiln:/run/kiln:ro",
    "--entrypoint", "kiln",
  ]

  # Those of Artifact Registry need somebody to sign in, who may read there: location, project and repository of each.
  artifact_registry = "^[a-z0-9-]+-docker\\.pkg\\.dev"
  repository        = "^([a-z0-9-]+)-docker\\.pkg\\.dev/([^/]+)/([^/]+)/"
  repositories      = toset([for image in values(local.images) : join("/", regex(local.repository, image)) if can(regex(local.repository, image))])

  user_data = {
    for name, _ in var.nodes : name => {
      write_files = concat(
        [
          for script in ["prepare", "fetch-key"] :
          { path = "/etc/kiln/${script}", permissions = "0644", content = file("${path.module}/node/${script}") }
        ],
        [
          {
            path        = "/etc/systemd/system/kiln.service"
            permissions = "0644"
            content = templatefile("${path.module}/node/kiln.service.tftpl", {
              origin   = var.origin
              image    = local.images[name]
              registry = can(regex(local.artifact_registry, local.images[name])) ? regex(local.artifact_registry, local.images[name]) : null
              docker   = local.docker_args
              kiln     = local.kiln_args
            })
          },
          {
            path        = "/etc/kiln/node.env"
            permissions = "0644"
            content     = "KEY_SECRET=projects/${var.project}/secrets/${google_secret_manager_secret.key.secret_id}\n"
          },
        ],
      )
      runcmd = [["systemctl", "daemon-reload"], ["systemctl", "start", "--no-block", "kiln.service"]]
    }
  }
}

# --- The nodes ---

resource "google_compute_disk" "cache" {
  for_each = var.nodes

  project = var.project
  name    = "${var.name}-${each.key}-cache"
  zone    = each.value.zone
  type    = "pd-balanced"
  size    = var.cache_gib
  labels  = var.labels
}

resource "google_compute_instance" "node" {
  for_each = var.nodes

  project      = var.project
  name         = "${var.name}-${each.key}"
  zone         = each.value.zone
  machine_type = var.machine_type
  labels       = var.labels

  boot_disk {
    initialize_params {
      image = "projects/cos-cloud/global/images/family/cos-stable"
    }
  }

  attached_disk {
    source      = google_compute_disk.cache[each.key].self_link
    device_name = "cache"
  }

  network_interface {
    network    = var.network
    subnetwork = var.subnetwork

    dynamic "access_config" {
      for_each = var.external_ip ? [1] : []
      content {}
    }
  }

  service_account {
    email = var.service_account_email
    # What it may do is said by IAM.
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  metadata = {
    user-data              = "#cloud-config\n${yamlencode(local.user_data[each.key])}"
    google-logging-enabled = "true"
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  scheduling {
    automatic_restart   = true
    on_host_maintenance = "MIGRATE"
  }

  allow_stopping_for_update = true

  # A new image of the system is no reason to stop a log: replace a node when you choose to (-replace).
  lifecycle {
    ignore_changes = [boot_disk[0].initialize_params[0].image]
    # Metadata can be changed in place, and cloud-init would not notice before the next boot.
    replace_triggered_by = [terraform_data.user_data[each.key]]
  }

  depends_on = [google_secret_manager_secret_iam_member.key]
}

resource "terraform_data" "user_data" {
  for_each = var.nodes

  input = sha256(yamlencode(local.user_data[each.key]))
}

resource "google_compute_instance_group" "node" {
  for_each = var.nodes

  project   = var.project
  name      = "${var.name}-${each.key}"
  zone      = each.value.zone
  instances = [google_compute_instance.node[each.key].self_link]

  named_port {
    name = "kiln"
    port = local.port
  }
}

# Balancers and health checks of Google, and nobody else.
resource "google_compute_firewall" "balancer" {
  project                 = var.project
  name                    = "${var.name}-from-balancer"
  network                 = var.network
  direction               = "INGRESS"
  source_ranges           = ["35.191.0.0/16", "130.211.0.0/22"]
  target_service_accounts = [var.service_account_email]

  allow {
    protocol = "tcp"
    ports    = [tostring(local.port)]
  }
}

# --- The log's key ---

# Its value is never in terraform's state: it is put there once, by hand; see the output `put_key`.
resource "google_secret_manager_secret" "key" {
  project   = var.project
  secret_id = "${var.name}-key"
  labels    = var.labels

  replication {
    auto {}
  }

  # A log whose key is lost has ended.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_secret_manager_secret_iam_member" "key" {
  project   = var.project
  secret_id = google_secret_manager_secret.key.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${var.service_account_email}"
}

resource "google_artifact_registry_repository_iam_member" "image" {
  for_each = local.repositories

  location   = split("/", each.value)[0]
  project    = split("/", each.value)[1]
  repository = split("/", each.value)[2]
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${var.service_account_email}"
}

resource "google_project_iam_member" "messages" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = "serviceAccount:${var.service_account_email}"
}
