-- CreateTable
CREATE TABLE "integrations" (
    "code" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    CONSTRAINT "integrations_pkey" PRIMARY KEY ("code")
);

-- CreateTable
CREATE TABLE "system_configs" (
    "integration_code" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    CONSTRAINT "system_configs_pkey" PRIMARY KEY ("integration_code", "key"),
    CONSTRAINT "system_configs_integration_code_fkey" FOREIGN KEY ("integration_code") REFERENCES "integrations"("code") ON DELETE CASCADE
);
